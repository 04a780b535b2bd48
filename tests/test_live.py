"""The live laboratory: numbers, requests that are refused, faults, and the page in a real browser."""

import base64
import contextlib
import gzip
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import momentumlab
from momentumlab.live import LiveServer, laboratory, server
from momentumlab.live.laboratory import MOST_SECONDS, Laboratory
from momentumlab.optimizers import OPTIMIZERS, adapters
from tests.browser import frames, status, wait
from tests.conftest import ROOT
from tests.fuzz.judge import run_in_process
from tests.test_faults import ON_LINUX, begin_caught, finished, in_shell

SETTINGS = {
    "surface": "ravine",
    "optimizer": "momentum",
    "lr": "0.1",
    "beta": "0.5",
    "start": "[2, 0.3]",
    "iterations": "40",
}
BODY: dict[str, Any] = {"settings": SETTINGS, "tab": "test", "number": 1}


@pytest.fixture(scope="module")
def live() -> Iterator[LiveServer]:
    with momentumlab.laboratory(ROOT / "configs" / "ravine_beta_sweep.yaml", iterations=150) as started:
        yield started


def address(live: LiveServer) -> tuple[str, str]:
    host, _, fragment = live.url.removeprefix("http://").partition("/#token=")
    return host, fragment


def ask(
    live: LiveServer, body: Any = BODY, path: str = "/answer", *, method: str = "POST", **headers: str | None
) -> tuple[int, dict[str, Any]]:
    """Send a request with the right headers, except those that are given; ``None`` leaves one out."""
    host, token = address(live)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {
        "Host": host,
        "X-Momentumlab-Token": token,
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    connection = http.client.HTTPConnection(host, timeout=20)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in sent.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders()
    with contextlib.suppress(ConnectionError):  # a refused body need not be read
        connection.send(content)
    response = connection.getresponse()
    text = response.read()
    assert response.getheader("Access-Control-Allow-Origin") is None
    connection.close()
    return response.status, json.loads(text) if text.startswith(b"{") else {"html": text.decode()}


def asked(live: LiveServer, **changes: Any) -> dict[str, Any]:
    code, document = ask(live, {**BODY, **changes})
    assert code == 200, document
    header: dict[str, Any] = document["header"]
    content = gzip.decompress(base64.b64decode(document["payload"]))
    for block in header["blocks"]:
        for name, value in block.items():
            if isinstance(value, dict) and "dtype" in value and "difference" not in value:
                kind, count = np.dtype(value["dtype"]), int(np.prod(value["shape"]))
                raw = np.frombuffer(content, np.uint8, count * kind.itemsize, value["offset"])
                block[name] = np.ascontiguousarray(raw.reshape(kind.itemsize, count).T).view(kind)[:, 0]
    return header


# ---- answers -----------------------------------------------------------------------------------------------------


def test_a_map_has_the_engines_numbers(live: LiveServer) -> None:
    (block,) = asked(live)["blocks"]
    lr, beta = ([float(value) for value in axis["values"]] for axis in block["axes"])
    losses = block["finalLoss"].reshape(len(lr), len(beta))
    assert (len(lr), len(beta)) == (64, 64)
    for i, k in ((0, 0), (30, 40), (50, 10), *[tuple(block["current"])]):
        alone = momentumlab.run(
            surface="ravine", optimizer="momentum", lr=lr[i], beta=beta[k], start=[2, 0.3], iterations=40
        )
        assert losses[i, k] == alone.final_losses[0]


def test_a_chosen_cell_and_pins_are_computed_without_the_map(live: LiveServer) -> None:
    pins = [{"optimizer": "adam", "lr": "0.3"}]
    selected, pinned = asked(live, map=False, chosen={"lr": "0.05", "beta": "0.9"}, pins=pins)["blocks"]
    assert "finalLoss" not in selected
    values = [float(axis["values"][i]) for axis, i in zip(selected["axes"], selected["current"], strict=True)]
    assert values == pytest.approx([0.05, 0.9], rel=0.06)
    alone = momentumlab.run(surface="ravine", optimizer="adam", lr=0.3, start=[2, 0.3], iterations=40)
    assert pinned["finalLoss"][0] == alone.final_losses[0]
    assert pinned["name"] == "adam, lr = 0.3"


def test_a_start_that_moves_keeps_grid_and_view(live: LiveServer) -> None:
    first = asked(live)
    moved = asked(live, settings=SETTINGS | {"start": "[-1, 0.2]"}, view=first["view"], moving=True)
    assert moved["view"] == first["view"]
    assert "window" in first
    assert "window" not in moved
    assert [axis["values"] for axis in moved["blocks"][0]["axes"]] == [
        axis["values"] for axis in first["blocks"][0]["axes"]
    ]
    outside = asked(live, settings=SETTINGS | {"start": "[-50, 0.2]"}, view=first["view"])
    assert outside["window"][0][0] < -50


WORKING: list[dict[str, str]] = [
    {"surface": "x**4 - x**2 + y**2", "optimizer": "adam", "lr": "0.1"},
    {"surface": "parabola", "optimizer": "sgd", "lr": "0.1", "noise": "0.1", "replicates": "3"},
    {"surface": "himmelblau", "optimizer": "nesterov", "lr": "cosine(0.01, 0.001)", "beta": "[0.5, 0.9]"},
    {"surface": "mlp", "optimizer": "momentum", "lr": "0.1", "surface.data": "two_moons"},
    {"surface": "ravine", "surface.a": "[0.05, 0.1]", "optimizer": "rmsprop", "lr": "0.01"},
    {"surface": "ravine", "optimizer": "sgd", "lr": "0.1", "start": "grid(3, 3)"},
    {"surface": "nesterov_worst_case", "optimizer": "momentum", "lr": "0.1", "start": "[1, 2, 3, 4, 5]"},
]


@pytest.mark.parametrize("settings", WORKING, ids=lambda each: f"{each['surface']} {each['optimizer']}")
def test_any_surface_optimizer_schedule_and_noise_can_be_chosen(live: LiveServer, settings: dict[str, str]) -> None:
    header = asked(live, settings=settings | {"iterations": "15"})
    assert header["blocks"][0]["name"].startswith(settings["optimizer"])
    texts = {each["key"]: each["text"] for each in header["fields"]}
    assert texts["lr"] == settings["lr"]


def test_names_are_found_in_any_case_and_a_schedule_of_lr_can_be_entered(live: LiveServer) -> None:
    settings = {**SETTINGS, "optimizer": "Heavy_Ball", "lr_schedule": "cosine(1, 0.1)"}
    header = asked(live, settings=settings)
    assert header["blocks"][0]["name"] == "momentum"
    assert {each["key"]: each["text"] for each in header["fields"]}["lr_schedule"] == "cosine(1, 0.1)"
    with momentumlab.laboratory(surface="ravine", optimizer="momentum", lr_schedule="cosine(1, 0.1)") as scheduled:
        assert {each["key"]: each["text"] for each in asked(scheduled)["fields"]}["lr_schedule"] == "1"


def test_the_optimizer_of_another_library_can_be_chosen_if_the_experiment_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The class stands for that of the library, which need not be installed."""
    monkeypatch.setitem(adapters._ADAPTED, "torch:AdamW", type("AdamW", (OPTIMIZERS["sgd"],), {"name": "torch:AdamW"}))
    experiment = momentumlab.load(surface="ravine", optimizers=["sgd", "torch:AdamW"])
    assert '"torch:AdamW": ["lr", ' in Laboratory(experiment).document()
    with momentumlab.laboratory(experiment) as own:
        for name in ("torch:AdamW", "torch:adamw"):
            header = asked(own, settings={"surface": "ravine", "optimizer": name, "lr": "0.1"})
            assert header["blocks"][0]["name"] == "torch:AdamW"
        code, document = ask(own, {**BODY, "settings": {"surface": "ravine", "optimizer": "torch:Adam"}})
        assert (code, document["problems"][0]["message"]) == (422, "a page cannot import modules: 'torch:Adam'")


def test_the_selected_setting_is_saved_as_configuration_and_as_page(live: LiveServer, tmp_path: Path) -> None:
    body = {**BODY, "chosen": {"lr": "0.05"}, "pins": [{"optimizer": "sgd", "lr": "0.02"}]}
    _, saved = ask(live, body, "/configuration")
    path = tmp_path / saved["name"]
    path.write_text(saved["content"])
    result = momentumlab.run(path)
    assert [trial.optimizer for trial in result.plan] == ["momentum", "sgd"]
    chosen = asked(live, chosen={"lr": "0.05"})["blocks"][0]
    lr = float(chosen["axes"][0]["values"][chosen["current"][0]])
    alone = momentumlab.run(surface="ravine", optimizer="momentum", lr=lr, beta=0.5, start=[2, 0.3], iterations=40)
    assert result.final_losses[0] == alone.final_losses[0]
    _, page = ask(live, body, "/page")
    assert page["content"].startswith("<!doctype html>")
    assert "connect-src" not in page["content"]


def test_an_older_request_of_the_same_page_is_dropped(live: LiveServer) -> None:
    assert ask(live, {**BODY, "tab": "newest", "number": 5})[0] == 200
    assert ask(live, {**BODY, "tab": "newest", "number": 4})[0] == 409
    assert ask(live, {**BODY, "tab": "other", "number": 4})[0] == 200


def test_a_newer_request_ends_the_computation_of_an_older_one(live: LiveServer) -> None:
    slow = {**BODY, "tab": "busy", "settings": SETTINGS | {"iterations": "200000"}}
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(ask(live, slow)[0]))
    begin = time.monotonic()
    thread.start()
    time.sleep(0.5)
    assert ask(live, {**BODY, "tab": "busy", "number": 2})[0] == 200
    thread.join(20)
    assert codes == [409]
    assert time.monotonic() - begin < 2.5  # the older one would take six seconds


def test_a_computation_ends_when_its_time_is_over(live: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laboratory, "_seconds", lambda experiment: 0.0)  # an estimate that is wrong
    monkeypatch.setattr(laboratory, "MOST_SECONDS", 0.3)
    begin = time.monotonic()
    code, document = ask(live, {**BODY, "settings": SETTINGS | {"iterations": "1000000"}, "map": False})
    assert time.monotonic() - begin < 2
    assert code == 422
    assert "stopped after" in document["problems"][0]["message"]
    _, document = ask(live, {**BODY, "settings": SETTINGS | {"iterations": "1000000"}}, "/page")
    assert "stopped after" in document["problems"][0]["message"]


# ---- what is refused ---------------------------------------------------------------------------------------------


def test_the_page_is_sent_to_anyone_but_contains_no_token(live: LiveServer) -> None:
    code, page = ask(live, b"", "/", method="GET", X_Momentumlab_Token=None)
    assert code == 200
    assert address(live)[1] not in page["html"]
    assert "connect-src 'self'" in page["html"]


REFUSED: dict[str, tuple[int, dict[str, Any]]] = {
    "no token": (403, {"X_Momentumlab_Token": None}),
    "wrong token": (403, {"X_Momentumlab_Token": "x" * 32}),
    "token that is not ASCII": (403, {"X_Momentumlab_Token": "é"}),
    "foreign host": (403, {"Host": "example.com"}),
    "other port": (403, {"Host": "127.0.0.1:1"}),
    "no host": (403, {"Host": None}),
    "foreign origin": (403, {"Origin": "http://example.com"}),
    "null origin": (403, {"Origin": "null"}),
    "text": (415, {"Content_Type": "text/plain"}),
    "form": (415, {"Content_Type": "application/x-www-form-urlencoded"}),
    "no length": (411, {"Content_Length": None}),
    "negative length": (411, {"Content_Length": "-1"}),
    "chunked": (411, {"Transfer_Encoding": "chunked"}),
    "long": (413, {"Content_Length": str(10**8)}),
    "very long": (413, {"Content_Length": "9" * 50}),
    "malformed": (400, {"body": b"{"}),
    "nested": (400, {"body": b"[" * 100_000}),
    "huge number": (400, {"body": b'{"number": ' + b"9" * 5000 + b"}"}),
    "list": (400, {"body": b"[]"}),
    "no settings": (400, {"body": {"tab": "a", "number": 1}}),
    "number as setting": (400, {"body": {**BODY, "settings": {"lr": 1}}}),
    "pins": (400, {"body": {**BODY, "pins": "ab"}}),
    "other path": (404, {"path": "/etc/passwd"}),
    "other method": (501, {"method": "PUT"}),
    "preflight": (501, {"method": "OPTIONS"}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_requests_from_elsewhere_and_malformed_ones_are_refused(live: LiveServer, name: str) -> None:
    expected, change = REFUSED[name]
    code, document = ask(live, **change)
    assert (code, list(document)) == (expected, ["problems"])


PROBLEMS: dict[str, tuple[dict[str, Any], str]] = {
    "iterations": ({"iterations": "1000000000"}, f"at most {MOST_SECONDS:.0f} s"),
    "replicates": ({"noise": "0.1", "replicates": "1000"}, "too many"),
    "starts": ({"start": "random(100000)"}, "too many"),
    "dimension": ({"surface": "rastrigin", "start": "random(1, dimension=10000)", "iterations": "1000"}, "too large"),
    "data file": ({"surface": "logistic_regression", "surface.data": "/etc/passwd"}, "cannot open files"),
    "surface as mapping": ({"surface": "{name: logistic_regression, data: /etc/passwd}"}, "give a name"),
    "surface key": ({"surface": "ravine", "surface.nothing": "1"}, "nothing"),
    "path as optimizer": ({"optimizer": "/tmp/plugin.py"}, "unknown optimizer"),
    "other key": ({"plugin": "/tmp/plugin.py"}, "unknown setting"),
    "nested key": ({"optimizers.0.name": "adam"}, "unknown setting"),
    "expression": ({"surface": "x**2 + "}, "column"),
    "code": ({"surface": "__import__('os').system('true') + x"}, ""),
    "long text": ({"lr": "1" * 20_000}, "longer than"),
    "value": ({"lr": "-1"}, "lr"),
    "YAML tag": ({"lr": "!!python/object/apply:os.system ['true']"}, ""),
    "unknown surface": ({"surface": "ravin"}, "ravine"),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_settings_that_are_wrong_or_cost_too_much_are_problems_of_one_line_each(live: LiveServer, name: str) -> None:
    change, words = PROBLEMS[name]
    begin = time.monotonic()
    code, document = ask(live, {**BODY, "settings": {**SETTINGS, **change}})
    assert time.monotonic() - begin < 2
    assert code == 422
    assert words in " ".join(f"{each['place']}: {each['message']}" for each in document["problems"])
    assert all(len(each["message"]) < 500 for each in document["problems"])


def test_the_experiment_of_the_command_line_may_use_its_own_data_file(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("a,target\n" + "\n".join(f"{i},{i % 2}" for i in range(20)))
    with momentumlab.laboratory(
        surface="logistic_regression", optimizer="sgd", lr=0.1, settings={"surface.data": str(table)}
    ) as own:
        settings = {"surface": "logistic_regression", "optimizer": "sgd", "lr": "0.1", "surface.data": str(table)}
        assert ask(own, {**BODY, "settings": settings})[0] == 200
        other = {**settings, "surface.data": str(tmp_path / "other.csv")}
        assert ask(own, {**BODY, "settings": other})[0] == 422


# ---- faults ------------------------------------------------------------------------------------------------------


def raw(live: LiveServer, content: bytes) -> socket.socket:
    host, port = address(live)[0].split(":")
    connection = socket.create_connection((host, int(port)), timeout=20)
    connection.sendall(content)
    return connection


def whole_request(live: LiveServer) -> bytes:
    host, token = address(live)
    body = json.dumps(BODY).encode()
    head = f"POST /answer HTTP/1.1\r\nHost: {host}\r\nX-Momentumlab-Token: {token}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def test_clients_that_disconnect_do_not_disturb_others(live: LiveServer, capfd: pytest.CaptureFixture[str]) -> None:
    for part in (0.3, 0.9, 1.0):
        content = whole_request(live)
        connection = raw(live, content[: int(part * len(content))])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # a reset, not a goodbye
        connection.close()
    assert ask(live)[0] == 200
    assert capfd.readouterr().err == ""


def test_a_hundred_connections_that_send_nothing_do_not_block_the_page(live: LiveServer) -> None:
    idle = [raw(live, b"") for _ in range(100)]
    assert ask(live)[0] == 200
    for connection in idle:
        connection.close()


def test_a_hundred_requests_at_once_are_all_answered_or_closed(live: LiveServer) -> None:
    codes: list[int] = []

    def one(number: int) -> None:
        with contextlib.suppress(ConnectionError, http.client.HTTPException):
            codes.append(ask(live, {**BODY, "tab": f"tab{number}", "map": False})[0])

    threads = [threading.Thread(target=one, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert set(codes) == {200}
    assert len(codes) >= server.MOST_CONNECTIONS
    assert ask(live)[0] == 200


def test_a_slow_request_is_closed(live: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "READ_SECONDS", 0.3)
    connection = raw(live, whole_request(live)[:60])
    begin = time.monotonic()
    for _ in range(100):  # a byte now and then does not keep it open
        try:
            connection.sendall(b" ")
            time.sleep(0.05)
        except ConnectionError:
            break
        if time.monotonic() - begin > 1.5:
            break
    assert connection.recv(100) == b""
    connection.close()
    assert time.monotonic() - begin < 5


def test_a_client_that_reads_no_answer_does_not_disturb_others(live: LiveServer) -> None:
    deaf = [raw(live, whole_request(live)) for _ in range(5)]
    assert ask(live)[0] == 200
    for connection in deaf:
        connection.close()


@contextlib.contextmanager
def served(*options: str) -> "Iterator[tuple[subprocess.Popen[str], str]]":
    """A process that serves the live page, and the address of the page."""
    with subprocess.Popen(
        [sys.executable, "-m", "momentumlab", "explore", "--no-browser", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            url = process.stdout.readline().strip()
            assert process.stderr.readline() == "note: press Ctrl-C to stop\n"
            yield process, url
        finally:
            process.kill()


@pytest.mark.parametrize("is_busy", [False, True], ids=["idle", "busy"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_at_once(number: signal.Signals, is_busy: bool) -> None:
    with served() as (process, url):
        host, _, token = url.removeprefix("http://").partition("/#token=")
        connection = http.client.HTTPConnection(host, timeout=20)
        if is_busy:
            headers = {"X-Momentumlab-Token": token, "Content-Type": "application/json"}
            slow = {**BODY, "settings": SETTINGS | {"iterations": "200000"}}
            connection.request("POST", "/answer", json.dumps(slow), headers)
            time.sleep(0.3)
        begin = time.monotonic()
        process.send_signal(number)
        assert process.wait(10) == 128 + number
        assert time.monotonic() - begin < 1
        assert process.stderr is not None
        connection.close()
        word = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}[number]
        assert process.stderr.read() == f"{word}\n"


def test_kill_9_leaves_nothing_and_the_port_can_be_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with served() as (process, url):
        port = int(url.removeprefix("http://127.0.0.1:").partition("/")[0])
        raw_connection = socket.create_connection(("127.0.0.1", port))
        process.kill()
        process.wait(10)
        raw_connection.close()
    with momentumlab.laboratory(surface="ravine", optimizer="sgd", port=port) as again:
        assert ask(again)[0] == 200
    assert not list(tmp_path.iterdir())


SAVE = ["explore", "--surface", "ravine", "--optimizer", "sgd", "--lr", "0.05", "--iterations", "5", "--save"]


@ON_LINUX
@pytest.mark.parametrize("moments", [2, pytest.param(40, marks=pytest.mark.long)])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_saved_page_is_whole_or_absent_whenever_a_signal_comes(
    moments: int, number: signal.Signals, tmp_path: Path
) -> None:
    chance = random.Random(number)
    for _ in range(moments):
        process = begin_caught(*SAVE, "page.html", cwd=tmp_path)
        time.sleep(chance.uniform(0, 0.8))
        process.send_signal(number)
        process.communicate(timeout=30)
        assert process.returncode in (0, -number, 128 + number)
        for path in tmp_path.iterdir():
            assert path.name == "page.html" or number is signal.SIGKILL
            assert path.name != "page.html" or path.read_text().endswith("</html>\n")
            path.unlink()


@ON_LINUX
def test_a_page_that_cannot_be_saved_is_one_line(tmp_path: Path) -> None:
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    (tmp_path / "page.html").write_text("old")
    done = finished(*SAVE, "page.html", cwd=tmp_path, prepare=limit)
    assert (done.returncode, done.stderr) == (1, "error: page.html: file too large\n")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"page.html": "old"}
    for place in (".", "/"):
        code, _, errors = run_in_process([*SAVE, place])
        assert (code, errors) == (1, f"error: {place}: is a directory\n")
    done = in_shell(f"{{}} {' '.join(SAVE)} page.html | true", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "page.html").read_text().endswith("</html>\n")


def test_a_port_in_use_is_one_line(live: LiveServer) -> None:
    port = int(address(live)[0].partition(":")[2])
    with pytest.raises(momentumlab.MomentumLabError, match="already in use; choose another one"):
        momentumlab.laboratory(surface="ravine", optimizer="sgd", port=port)


# ---- in a real browser -------------------------------------------------------------------------------------------


def answers(browser: Any) -> int:
    return int(browser.execute_script("return document.documentElement.dataset.answers || 0"))


def visited(browser: Any, live: LiveServer) -> Any:
    browser.get("about:blank")
    browser.get(live.url)
    wait(lambda: frames(browser) > 0)
    return browser


def choose(browser: Any, identifier: str, value: str) -> None:
    from selenium.webdriver.support.select import Select

    before = answers(browser)
    Select(browser.find_element("id", identifier)).select_by_value(value)
    wait(lambda: answers(browser) > before)


def enter(browser: Any, identifier: str, text: str) -> None:
    before = answers(browser)
    field = browser.find_element("id", identifier)
    field.send_keys("\ue009a\ue000" + text + "\ue007")  # select all, type, Enter
    wait(lambda: answers(browser) > before)


def test_dragging_the_start_moves_trajectory_and_map(browser: Any, live: LiveServer) -> None:
    from selenium.webdriver import ActionChains

    browser.get_log("browser")  # of earlier tests
    visited(browser, live)
    before = status(browser)
    legend = browser.find_element("id", "map-legend").text
    canvas, count = browser.find_element("id", "path"), answers(browser)
    ActionChains(browser).move_to_element(canvas).click_and_hold().move_by_offset(90, -40).move_by_offset(
        9, -9
    ).perform()
    wait(lambda: answers(browser) > count)
    ActionChains(browser).release().perform()
    wait(lambda: "measured rate" in status(browser) and status(browser) != before)
    start = json.loads(browser.find_element("id", "setting-start").get_attribute("value"))
    assert start[0] > 0
    assert start[1] > 0
    first = browser.execute_script("return momentumlab.trajectory()[0].position")
    assert first == pytest.approx(start, abs=1e-3)
    result = momentumlab.run(surface="ravine", optimizer="momentum", lr=0.1, beta=0, start=start, iterations=150)
    assert repr(float(result.final_losses[0])) in status(browser)
    assert browser.find_element("id", "map-legend").text != legend
    assert browser.get_log("browser") == []


def test_surface_optimizer_and_settings_can_be_changed(browser: Any, live: LiveServer) -> None:
    visited(browser, live)
    choose(browser, "surface", "rosenbrock")
    wait(lambda: "rosenbrock" in browser.find_element("id", "subtitle").text)
    choose(browser, "method", "adam")
    wait(lambda: status(browser).startswith("adam"))
    enter(browser, "setting-iterations", "7")
    wait(lambda: "after 7 iterations" in status(browser))
    fragment = browser.current_url.partition("#")[2]
    browser.get("about:blank")
    browser.get(f"{live.url.partition('#')[0]}#{fragment}")  # a reload keeps the settings
    wait(lambda: "after 7 iterations" in status(browser) and status(browser).startswith("adam"))


def test_an_expression_with_an_error_is_reported_and_the_picture_stays(browser: Any, live: LiveServer) -> None:
    from selenium.webdriver.support.select import Select

    visited(browser, live)
    before = status(browser)
    Select(browser.find_element("id", "surface")).select_by_visible_text("an expression …")
    enter(browser, "expression", "x**2 + 3*y**")
    problem = browser.find_element("id", "problem")
    wait(problem.is_displayed)
    assert "surface: " in problem.text
    assert status(browser) == before
    enter(browser, "expression", "x**2 + 3*y**2")
    wait(lambda: not problem.is_displayed() and "3" in browser.find_element("id", "subtitle").text)


def test_a_map_cell_is_selected_and_two_settings_are_compared(browser: Any, live: LiveServer) -> None:
    visited(browser, live)
    before, canvas = answers(browser), browser.find_element("id", "map")
    canvas.send_keys("\ue012")
    wait(lambda: answers(browser) > before)
    assert "lr = 0.1," not in status(browser)
    browser.find_element("id", "pin-a").click()
    table = browser.find_element("id", "comparison")
    wait(table.is_displayed)
    canvas.send_keys("\ue013")
    rows = "return [...document.querySelectorAll('#comparison tr')].map((row) => row.children[1].textContent)"
    wait(lambda: len(set(browser.execute_script(rows))) == 3)  # heading, A, selected


def test_two_tabs_and_a_server_that_stops(browser: Any) -> None:
    with momentumlab.laboratory(surface="ravine", optimizer="sgd", lr=0.05, iterations=20) as own:
        visited(browser, own)
        first = browser.current_window_handle
        browser.switch_to.new_window("tab")
        visited(browser, own)
        enter(browser, "setting-iterations", "9")
        wait(lambda: "after 9 iterations" in status(browser))
        browser.close()
        browser.switch_to.window(first)
        assert "after 20 iterations" in status(browser)
        enter(browser, "setting-iterations", "8")
        wait(lambda: "after 8 iterations" in status(browser))
    enter(browser, "setting-iterations", "5")
    problem = browser.find_element("id", "problem")
    wait(problem.is_displayed)
    assert "does not answer" in problem.text
    assert "after 8 iterations" in status(browser)
    browser.get_log("browser")


@pytest.mark.skipif("MOMENTUMLAB_AXE" not in os.environ, reason="MOMENTUMLAB_AXE does not name a copy of axe.min.js")
def test_axe_finds_no_violation(browser: Any, live: LiveServer) -> None:
    visited(browser, live)
    browser.execute_script(Path(os.environ["MOMENTUMLAB_AXE"]).read_text())
    found = browser.execute_async_script(
        "const done = arguments[0]; axe.run().then((r) => done(r.violations.map((v) => v.id + ': ' + v.nodes[0].html)))"
    )
    assert found == []
