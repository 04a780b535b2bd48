"""Interactive pages: size and build time, slider to frame in Chromium, and round trips to the live server.

``python benchmarks/page.py``; slider to frame needs selenium, Chromium and chromedriver.
"""

import http.client
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import momentumlab

CONFIG = Path(__file__).parent.parent / "configs" / "ravine_beta_sweep.yaml"
ROUNDS = 15


def median_seconds(call: Callable[[], Any], rounds: int = ROUNDS) -> float:
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def round_trips() -> None:
    """Time requests of a page that moves the start, with a 64 × 64 map and without."""
    with momentumlab.laboratory(CONFIG, iterations=150) as live:
        host, _, token = live.url.removeprefix("http://").partition("/#token=")
        connection = http.client.HTTPConnection(host)
        headers = {"Content-Type": "application/json", "X-Momentumlab-Token": token}
        numbers = iter(range(10**6))
        view = None

        def ask(*, with_map: bool) -> dict[str, Any]:
            number = next(numbers)
            settings = {"surface": "ravine", "optimizer": "momentum", "lr": "0.1", "beta": "0.9", "iterations": "150"}
            body = {
                "settings": {**settings, "start": f"[{2 + number / 1000}, 0.1]"},
                "view": view,
                "map": with_map,
                "moving": True,
                "tab": "benchmark",
                "number": number,
            }
            connection.request("POST", "/answer", json.dumps(body), headers)
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer

        view = ask(with_map=True)["header"]["view"]
        for name, with_map in (("path", False), ("path and 64 × 64 map", True)):
            seconds = median_seconds(lambda with_map=with_map: ask(with_map=with_map))  # type: ignore[misc]
            print(f"live round trip, {name}: {1e3 * seconds:.0f} ms")


def slider_to_frame(path: Path) -> None:
    """Time from an input event of a slider to the end of the frame that shows it."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for flag in ("headless", "no-sandbox", "disable-gpu", "window-size=1280,1250"):
        options.add_argument(f"--{flag}")
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    browser.get(path.as_uri())
    time.sleep(2)
    times = browser.execute_async_script("""
        const done = arguments[0], slider = document.getElementById("axis-lr"), times = [];
        function next(i) {
          if (i === 30) { done(times); return; }
          const begin = performance.now();
          slider.value = 10 + i; slider.dispatchEvent(new Event("input"));
          const drawn = () => { times.push(performance.now() - begin); next(i + 1); };
          requestAnimationFrame(() => requestAnimationFrame(drawn));
        }
        next(0);""")
    browser.quit()
    print(f"slider to frame: {statistics.median(times):.0f} ms (two animation frames are 33 ms)")


def main() -> None:
    """Print all measurements."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        seconds = median_seconds(lambda: momentumlab.explore(CONFIG, save=path), rounds=5)
        print(f"page of the ravine: {path.stat().st_size / 1e6:.1f} MB, built in {seconds:.1f} s")
        round_trips()
        if shutil.which("chromedriver"):
            slider_to_frame(path)


if __name__ == "__main__":
    main()
