"""What the tests in a real browser share: waits with a time limit, and the state of a page."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def frames(browser: Any) -> int:
    return int(browser.execute_script("return document.documentElement.dataset.frame || 0"))


def wait(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the page did not respond in time"
        time.sleep(0.02)


def opened(browser: Any, path: Path, fragment: str = "") -> Any:
    browser.get("about:blank")
    browser.get(f"{path.as_uri()}{fragment}")
    wait(lambda: frames(browser) > 0)
    return browser


def status(browser: Any) -> str:
    return str(browser.find_element("id", "status").text)


def press(browser: Any, identifier: str, key: str, times: int = 1) -> None:
    for _ in range(times):
        before = frames(browser)
        browser.find_element("id", identifier).send_keys(key)
        wait(lambda before=before: frames(browser) > before)  # type: ignore[misc]
