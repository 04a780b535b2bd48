"""The interactive page: its numbers are the engine's, it is self-contained, and it works in a real browser."""

import base64
import gzip
import json
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import momentumlab
from momentumlab.report.page import PageTooLargeError, document, page
from momentumlab.report.page.document import MOST_BYTES
from momentumlab.report.page.encoding import MISSING, Payload, quantise
from tests.browser import frames, opened, press, status, wait
from tests.conftest import ROOT, Command

CONFIGS = ["ravine_beta_sweep", "optimizer_comparison", "parabola", "noisy_ravine", "my_function"]


def built(config: str, **overrides: Any) -> str:
    return page(momentumlab.load(ROOT / "configs" / f"{config}.yaml", **overrides)).html


def decoded(text: str) -> tuple[dict[str, Any], Callable[[dict[str, Any]], NDArray[Any]]]:
    """The header, and a function that decodes an array from its description; written independently of the page."""
    header = json.loads(re.findall(r'<script type="application/json" id="header">(.*?)</script>', text, re.DOTALL)[0])
    encoded = re.findall(r'<script type="text/plain" id="payload">(.*?)</script>', text, re.DOTALL)[0]
    content = gzip.decompress(base64.b64decode(encoded))

    def array(description: dict[str, Any]) -> NDArray[Any]:
        dtype, shape = np.dtype(description["dtype"]), tuple(description["shape"])
        count = int(np.prod(shape))
        raw = np.frombuffer(content, np.uint8, count * dtype.itemsize, description["offset"])
        values = np.ascontiguousarray(raw.reshape(dtype.itemsize, count).T).view(dtype)[:, 0]
        axis = description.get("difference")
        if axis is None:
            plain: NDArray[Any] = values.reshape(shape)
            return plain
        moved = [*shape[:axis], *shape[axis + 1 :], shape[axis]]
        moved_back: NDArray[Any] = np.moveaxis(np.cumsum(values.reshape(moved), axis=-1, dtype=dtype), -1, axis)
        return moved_back

    return header, array


@pytest.mark.parametrize("dtype", ["<i2", "<i4", "<f4", "<f8", "|u1"])
def test_arrays_survive_encoding(dtype: str) -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(-100, 100, (3, 7, 2)).astype(dtype)
    payload = Payload()
    description = payload.add(values, difference_axis=1 if values.dtype.kind in "iu" else None)
    header = '<script type="application/json" id="header">{}</script>'
    _, array = decoded(f'{header}<script type="text/plain" id="payload">{payload.text()}</script>')
    np.testing.assert_array_equal(array(description), values)


def test_quantisation_is_within_half_a_step_and_marks_missing_values() -> None:
    values = np.linspace(-3, 5, 1001)
    quantised = quantise(values, -3.0, 5.0).astype(np.float64)
    np.testing.assert_allclose(-3 + (quantised + 32767) / 65534 * 8, values, atol=0.5 * 8 / 65534 * 1.0001)
    assert quantise(np.array([np.nan, np.inf, -np.inf]), 0.0, 1.0).tolist() == [MISSING, 32767, -32767]


@pytest.mark.parametrize("config", CONFIGS)
def test_every_number_of_the_page_is_the_engines(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "DETAILS", document.DETAILS[4:])  # a coarse grid is enough
    text = built(config, iterations=60)
    header, array = decoded(text)
    rng = np.random.default_rng(1)
    for own in header["blocks"]:
        shape = [len(axis["values"]) for axis in own["axes"]]
        repeats = len(own["starts"]) * own["replicates"]
        arrays = {name: array(value) for name, value in own.items() if isinstance(value, dict)}
        for _ in range(3):
            index = [int(rng.integers(size)) for size in shape]
            trial = (int(np.ravel_multi_index(index, shape)) if shape else 0) * repeats
            chosen = {axis["name"]: axis["values"][i] for axis, i in zip(own["axes"], index, strict=True)}
            result = rerun(config, own, chosen)
            assert arrays["finalLoss"][trial] == result.final_losses[0] or np.isnan(result.final_losses[0])
            assert arrays["iterations"][trial] == result.iterations[0]
            assert arrays["status"][trial] == result.status_codes[0]
            if header["dimension"] <= 2 and header["stride"] == 1:
                low, high = map(np.array, header["position"])
                shown = low + (arrays["positions"][trial].astype(float) + 32767) / 65534 * (high - low)
                exact = np.clip(result.path(0), low, high)
                np.testing.assert_allclose(shown[: len(exact)], exact, atol=float((high - low).max()) / 65534)
                scale = arrays["velocityScale"][trial]
                velocity = arrays["velocities"][trial, : len(exact)] / 32767 * scale
                exact = result.velocities[0, : len(exact)]
                np.testing.assert_allclose(velocity, exact, atol=float(scale.max()) / 32767)


def rerun(config: str, own: dict[str, Any], chosen: dict[str, str]) -> momentumlab.Result:
    """One trial of a page, run from its configuration and the printed values of its axes."""
    experiment = momentumlab.load(ROOT / "configs" / f"{config}.yaml", iterations=60)
    choice = next(
        each for each in experiment.optimizers if each.name == own["command"].split("--optimizer ")[1].split()[0]
    )
    settings = {name: axis.values[0] for name, axis in choice.axes.items() if len(axis) == 1}
    surface = {name: value for name, value in chosen.items() if name.startswith("surface.")}
    given = {name: value for name, value in chosen.items() if name not in surface}
    optimizer = {"name": choice.name, **settings, **{name: json.loads(value) for name, value in given.items()}}
    overrides: dict[str, Any] = {name: json.loads(value) for name, value in surface.items()}
    return momentumlab.run(
        ROOT / "configs" / f"{config}.yaml",
        optimizers=[optimizer],
        iterations=60,
        replicates=own["replicates"],
        **overrides,
    )


def test_many_dimensions_are_drawn_in_two_principal_directions() -> None:
    experiment = momentumlab.load(
        surface="nesterov_worst_case", start=[1, 2, 3, 4, 5], optimizer="momentum", lr=0.3, iterations=20
    )
    header, array = decoded(page(experiment).html)
    (own,) = header["blocks"]
    trial = int(np.ravel_multi_index(own["current"], [len(axis["values"]) for axis in own["axes"]]))
    assert array(own["finalLoss"])[trial] == momentumlab.run(experiment).final_losses[0]
    assert "principal direction" in header["names"][0]
    assert array(own["positions"]).shape[2] == 2


def test_equal_experiments_give_equal_bytes() -> None:
    assert built("ravine_beta_sweep", iterations=20) == built("ravine_beta_sweep", iterations=20)


def test_the_settings_of_the_experiment_are_on_the_page() -> None:
    header, _ = decoded(built("ravine_beta_sweep", iterations=20))
    (own,) = header["blocks"]
    values = {axis["name"]: axis["values"] for axis in own["axes"]}
    assert {"0", "0.8", "0.9"} <= set(values["beta"])
    assert "0.1" in values["lr"]
    assert [axis["values"][i] for axis, i in zip(own["axes"], own["current"], strict=True)] == ["0.1", "0"]


def test_theory_on_the_page_is_that_of_predict() -> None:
    header, array = decoded(built("ravine_beta_sweep", iterations=20))
    (own,) = header["blocks"]
    rates = array(own["predictedRate"])
    trial = int(np.ravel_multi_index(own["current"], [len(axis["values"]) for axis in own["axes"]]))
    assert rates[trial] == pytest.approx(0.9875, abs=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "limit"),
    [("momentum", lambda beta: 2 * (1 + beta)), ("nesterov", lambda beta: 2 * (1 + beta) / (1 + 2 * beta))],
)
def test_the_stability_line_is_exact(optimizer: str, limit: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
    """The closed forms are those of heavy ball and of Nesterov's method for the largest curvature λ, times λ."""
    experiment = momentumlab.load(surface="ravine", optimizer=optimizer, lr=0.05, beta=[0, 0.5, 0.9], iterations=5)
    header, array = decoded(page(experiment).html)
    (own,) = header["blocks"]
    lr, beta = (np.array(axis["places"]) for axis in own["axes"])
    assert [axis["scale"] for axis in own["axes"]] == ["log", "linear"]
    along_lr, along_beta = array(own["crossings"]).reshape(2, len(lr), len(beta))
    column, row = np.nonzero(np.isfinite(along_lr))
    assert len(row) == len(beta)  # the map holds the limits of all momenta
    share = along_lr[column, row]
    found = 10 ** (lr[column] + share * (lr[column + 1] - lr[column]))
    np.testing.assert_allclose(found, limit(beta[row]) / 18, rtol=1e-6)
    column, row = np.nonzero(np.isfinite(along_beta))
    found = beta[row] + along_beta[column, row] * (beta[row + 1] - beta[row])
    np.testing.assert_allclose(limit(found) / 18, 10 ** lr[column], rtol=1e-6)


@pytest.mark.parametrize("command_name", ["run", "sweep"])
def test_a_run_folder_can_contain_a_page(command_name: str, command: Command, tmp_path: Path) -> None:
    settings = ["--surface", "ravine", "--optimizer", "sgd", "--lr", "0.05,0.1", "--iterations", "5"]
    done = command(command_name, *settings, "--page", "--no-plots", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / done.stdout.strip()
    assert decoded((folder / "page.html").read_text())[0]["blocks"][0]["name"] == "sgd"
    assert "page.html" in json.loads((folder / "run.json").read_text())["files"]


def test_results_save_their_page(tmp_path: Path) -> None:
    experiment = momentumlab.load(surface="ravine", optimizer="sgd", lr=[0.05, 0.1], iterations=5)
    compared = momentumlab.compare(surface="ravine", optimizers=["sgd", "momentum"], iterations=5, budget=4)
    for result in (momentumlab.run(experiment), momentumlab.sweep(experiment), compared.results[0]):
        saved = result.save_page(tmp_path / "page.html")
        assert (tmp_path / "page.html").read_text() == saved.html


def test_a_run_whose_page_is_too_large_is_complete_and_says_so(tmp_path: Path) -> None:
    result = momentumlab.run(
        surface="ravine",
        optimizer="sgd",
        start="grid(300, 300)",
        iterations=300,
        record="none",
        plots=False,
        page=True,
        out=tmp_path,
    )
    assert any("no interactive page" in note and "shorten the axes" in note for note in result.notes)
    assert result.run_folder is not None
    assert not (result.run_folder / "page.html").exists()


LARGE: list[dict[str, Any]] = [
    {"optimizer": "momentum", "lr": "geomspace(1e-3, 0.2, 300)", "beta": "linspace(0, 0.99, 250)", "iterations": 400},
    {"optimizer": "adam", "lr": "geomspace(1e-3, 1, 60)", "beta1": "linspace(0, 0.9, 9)", "beta2": [0.9, 0.99]},
    {"optimizer": "momentum", "lr": 0.05, "beta": [0, 0.9], "noise": 0.1, "replicates": 20, "iterations": 200},
    {"optimizer": "sgd", "lr": [0.01, 0.02], "iterations": 100_000},
]


@pytest.mark.parametrize("settings", LARGE, ids=["long axes", "three axes", "replicates", "many iterations"])
def test_large_experiments_are_thinned_to_fit_and_the_page_says_so(settings: dict[str, Any]) -> None:
    text = page(momentumlab.load(surface="ravine", **settings)).html
    assert len(text.encode()) <= MOST_BYTES
    header, _ = decoded(text)
    (own,) = header["blocks"]
    assert all(2 <= len(axis["values"]) <= 100 for axis in own["axes"])
    notes = "\n".join(header["notes"])
    for axis in own["axes"]:
        asked = momentumlab.load(surface="ravine", **settings).optimizers[0].axes[axis["name"]]
        assert len(asked) == len(axis["values"]) or f"{own['name'].split()[0]}, {axis['name']}: " in notes
    assert (header["stride"] > 1) == ("iterate" in notes)


def test_foreign_text_cannot_leave_the_data(tmp_path: Path) -> None:
    name = "</script><script>alert(1)</script>"
    text = page(momentumlab.load(surface="ravine", optimizer="sgd", iterations=5, name=name)).html
    assert "<script>alert" not in text
    assert decoded(text)[0]["name"] == name
    assert "default-src 'none'" in text
    assert not re.search(r"(src|href)\s*=", text.split("<script type")[0])


def test_an_experiment_that_fits_on_no_page_is_refused() -> None:
    with pytest.raises(PageTooLargeError, match="shorten the axes"):
        page(momentumlab.load(surface="ravine", optimizer="sgd", start="grid(300, 300)", iterations=300))


# ---- in a real browser ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ravine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "ravine.html"
    path.write_text(built("ravine_beta_sweep"))
    return path


def test_the_page_loads_without_a_request_or_an_error(browser: Any, ravine: Path) -> None:
    browser.get_log("browser")  # of earlier tests
    opened(browser, ravine)
    assert browser.get_log("browser") == []
    requests = browser.execute_script("return performance.getEntriesByType('resource').length")
    assert requests == 0
    result = momentumlab.run(ROOT / "configs" / "ravine_beta_sweep.yaml", beta=0.0)
    assert repr(float(result.final_losses[0])) in status(browser)


def test_the_browser_decodes_the_engines_numbers(browser: Any, ravine: Path) -> None:
    opened(browser, ravine)
    shown = browser.execute_script("return momentumlab.trajectory()")
    result = momentumlab.run(ROOT / "configs" / "ravine_beta_sweep.yaml", beta=0.0)
    header, _ = decoded(ravine.read_text())
    resolution = max(high - low for low, high in zip(*header["position"], strict=True)) / 65534
    positions = np.array([entry["position"] for entry in shown])
    np.testing.assert_allclose(positions, result.positions[0], atol=resolution)
    velocities = np.array([entry["velocity"] for entry in shown])
    np.testing.assert_allclose(velocities, result.velocities[0], atol=np.abs(result.velocities).max() / 32767)
    losses = 10 ** np.array([entry["logLoss"] for entry in shown])
    np.testing.assert_allclose(losses, result.losses[0], rtol=3e-3)


def test_arrow_keys_on_the_map_and_sliders_select_settings_and_the_address_keeps_them(
    browser: Any, ravine: Path
) -> None:
    opened(browser, ravine)
    press(browser, "map", "\ue013", 2)  # up
    press(browser, "axis-lr", "\ue012")  # left
    chosen = status(browser)
    assert chosen != ""
    assert "β = 0:" not in chosen
    fragment = "#" + browser.current_url.partition("#")[2]
    opened(browser, ravine)
    assert status(browser) != chosen
    opened(browser, ravine, fragment)
    assert status(browser) == chosen


COPIED: list[dict[str, Any]] = [
    {"surface": "ravine", "optimizer": "momentum", "lr": 0.1, "beta": [0, 0.9], "tolerance": 1e-2, "patience": 3},
    {"surface": "x**4/4 - x**2 + y**2/3", "optimizer": "adam", "start": [0.3, -1], "settings": {"eps": 1e-7}},
    {
        "surface": "ravine",
        "optimizer": "sgd",
        "noise": "relative(0.1)",
        "replicates": 3,
        "seed": 5,
        "start": "grid(2,2)",
    },
    {"surface": "nesterov_worst_case", "optimizer": "nesterov", "start": [1, 2, 3, 4, 5]},
    {"surface": "himmelblau", "optimizer": "momentum", "lr": "cosine(0.01, 0.001)", "beta": [0.5, 0.9]},
    {"surface": "ravine", "optimizer": "momentum", "settings": {"surface.a": [0.05, 0.1], "dampening": 0.1}},
]


@pytest.mark.parametrize("settings", COPIED, ids=lambda settings: settings["surface"])
def test_the_copied_command_gives_the_numbers_of_the_page(
    browser: Any, settings: dict[str, Any], tmp_path: Path, command: Command
) -> None:
    path = tmp_path / "page.html"
    momentumlab.explore(**settings, iterations=20, save=path)
    opened(browser, path)
    browser.execute_script(
        "document.querySelectorAll('#axes input').forEach((slider) => { slider.value = "
        "Math.floor(slider.max / 2); slider.dispatchEvent(new Event('input')); })"
    )
    wait(lambda: frames(browser) > 1)
    shown = browser.find_element("id", "command").text
    losses = browser.execute_script("return momentumlab.finalLosses()")
    program, *words = shlex.split(shown)
    done = command(*words, "--no-plots", "--format", "json")
    assert (program, done.returncode) == ("momentumlab", 0), done.stderr
    assert [trial["final_loss"] for trial in json.loads(done.stdout)["trials"]] == losses


def test_a_click_on_the_map_selects_its_cell(browser: Any, ravine: Path) -> None:
    from selenium.webdriver import ActionChains

    opened(browser, ravine)
    canvas = browser.find_element("id", "map")
    before = frames(browser)
    ActionChains(browser).move_to_element_with_offset(canvas, 0, -80).click().perform()
    wait(lambda: frames(browser) > before)
    index = browser.execute_script("return momentumlab.selected().index")
    header, _ = decoded(ravine.read_text())
    sizes = [len(axis["values"]) for axis in header["blocks"][0]["axes"]]
    assert abs(index[0] / sizes[0] - 0.5) < 0.1
    assert 0.6 < index[1] / sizes[1] < 0.9


def test_two_settings_can_be_compared(browser: Any, ravine: Path) -> None:
    opened(browser, ravine)
    browser.find_element("id", "pin-a").click()
    press(browser, "map", "\ue013", 3)
    table = browser.find_element("id", "comparison")
    wait(table.is_displayed)
    assert [row.text.split()[0] for row in table.find_elements("tag name", "tr")] == ["curve", "A", "selected"]
    browser.find_element("id", "unpin").click()
    wait(lambda: not table.is_displayed())


def test_one_axis_is_drawn_as_a_curve_on_which_settings_are_selected(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    momentumlab.explore(surface="ravine", optimizer="sgd", lr=0.05, iterations=30, save=path)
    opened(browser, path)
    drawn = browser.execute_script("""
        const canvas = document.getElementById("map"), { data } = canvas.getContext("2d").getImageData(
            0, 0, canvas.width, canvas.height), own = [0x0b, 0x5c, 0xad];
        const columns = new Set();
        for (let i = 0; i < data.length; i += 4) {
          if (own.every((value, c) => Math.abs(data[i + c] - value) < 25)) columns.add((i / 4) % canvas.width);
        }
        return columns.size / canvas.width;""")
    assert drawn > 0.6
    press(browser, "map", "\ue014", 2)  # right
    header, _ = decoded(path.read_text())
    (own,) = header["blocks"]
    assert browser.execute_script("return momentumlab.selected().index") == [own["current"][0] + 2]
    assert "stability limit" in browser.find_element("id", "map-legend").text


def test_paper_is_white_in_dark_mode(browser: Any, ravine: Path) -> None:
    opened(browser, ravine)
    pixels = "return Array.from(document.getElementById('loss').getContext('2d').getImageData(60, 296, 400, 30).data)"

    def darkest_label(media: str) -> int:
        features = [{"name": "prefers-color-scheme", "value": "dark"}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
        found = np.array(browser.execute_script(pixels)).reshape(-1, 4)
        return int(found[found[:, 3] > 200][:, 0].min())

    try:
        wait(lambda: darkest_label("screen") > 120)
        wait(lambda: darkest_label("print") < 120)
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


def test_play_advances_the_iteration_to_the_end(browser: Any, ravine: Path) -> None:
    opened(browser, ravine)
    value = browser.find_element("id", "iteration-value")
    assert value.text == "50"
    browser.find_element("id", "play").click()
    wait(lambda: 0 < int(value.text or 0) < 50)
    browser.find_element("id", "play").click()
    wait(lambda: browser.find_element("id", "play").text == "Play")
    paused = int(value.text)
    browser.find_element("id", "forward").click()
    wait(lambda: int(value.text) == paused + 1)


def test_a_damaged_page_says_so(browser: Any, ravine: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.html"
    text = ravine.read_text()
    damaged.write_text(text.replace('id="payload">', 'id="payload">AAAA', 1))
    browser.get(damaged.as_uri())
    failure = browser.find_element("id", "failure")
    wait(failure.is_displayed)
    assert "cannot be read" in failure.text


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen(browser: Any, ravine: Path, width: int) -> None:
    browser.set_window_size(max(width, 500), 1000)
    opened(browser, ravine)
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    wait(lambda: browser.execute_script("return innerWidth") == width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.skipif("MOMENTUMLAB_AXE" not in os.environ, reason="MOMENTUMLAB_AXE does not name a copy of axe.min.js")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(browser: Any, ravine: Path, scheme: str) -> None:
    opened(browser, ravine)
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    browser.find_element("id", "pin-a").click()
    press(browser, "map", "\ue013")
    browser.execute_script(Path(os.environ["MOMENTUMLAB_AXE"]).read_text())
    found = browser.execute_async_script(
        "const done = arguments[0]; axe.run().then((r) => done(r.violations.map((v) => v.id + ': ' + v.nodes[0].html)))"
    )
    assert found == []
