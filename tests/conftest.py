"""What several test modules share."""

import gc
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from tests.zygote import call, write_clients

if TYPE_CHECKING:
    from momentumlab.result import Result
    from momentumlab.search import ComparisonResult

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command does; two test processes occupy two cores

# Containers often forbid bytecode. Each of the hundreds of processes would then compile the package again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

settings.register_profile("seeded", derandomize=True, deadline=None)
settings.load_profile("seeded")  # what passed once passes again; tests/fuzz looks for what is new

ROOT = Path(__file__).parent.parent
SHIPPED = sorted(path for path in (ROOT / "configs").glob("**/*.yaml") if path.parent.name != "libraries")
COMPARISONS = [path for path in SHIPPED if "\nobjective:" in path.read_text()]
SWEEPS = [path for path in SHIPPED if "momentumlab sweep" in path.read_text()]
CONFIGS = [path for path in SHIPPED if path not in COMPARISONS + SWEEPS]

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def programs() -> Iterator[Path]:
    """A folder with a ``momentumlab`` and a ``python`` that start at once; see `tests.zygote`."""
    real = Path(sys.executable).with_name("momentumlab")
    if not hasattr(socket, "AF_UNIX") or not hasattr(os, "fork"):
        yield real.parent
        return
    with tempfile.TemporaryDirectory(prefix="lab") as folder:
        address = f"{folder}/socket"
        write_clients(Path(folder), address)
        process = subprocess.Popen([sys.executable, Path(__file__).with_name("zygote.py"), address])
        try:
            while not Path(address).exists() and process.poll() is None:
                time.sleep(0.01)
            yield Path(folder)
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def own_functions() -> Iterator[None]:
    """Forget the surfaces of Python functions at the end of a test."""
    from momentumlab.surfaces import SURFACES
    from momentumlab.surfaces.functions import surface_of

    before = set(SURFACES.plugins())
    yield
    surface_of.cache_clear()
    for name in set(SURFACES.plugins()) - before:
        SURFACES.forget(name)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> "dict[str, Result | ComparisonResult]":
    """A run folder of each kind, all in the same folder."""
    from tests.test_runs import MADE

    folder = tmp_path_factory.mktemp("runs")
    return {name: make(folder) for name, make in MADE.items()}


@pytest.fixture(scope="session")
def out(made: "dict[str, Result | ComparisonResult]") -> Path:
    """Folder of the run folders in `made`, which tests must not change."""
    folder = made["run"].run_folder
    assert folder is not None
    return folder.parent


@pytest.fixture
def command(tmp_path: Path, programs: Path) -> Command:
    """Run ``momentumlab`` in an empty folder, without a terminal; an unexpected exception prints a traceback."""

    own = {key: value for key, value in os.environ.items() if key != "COLUMNS"}  # pytest-xdist sets it

    def run(*arguments: str | Path, cwd: Path = tmp_path, **environment: str) -> subprocess.CompletedProcess[str]:
        words = [str(programs / "momentumlab"), *map(str, arguments)]
        variables = {**own, "PYTHONIOENCODING": "utf-8", "MOMENTUMLAB_DEBUG": "1", **environment}
        if (programs / "socket").exists():
            return call(str(programs / "socket"), words, cwd, variables, timeout=120)
        return subprocess.run(
            words, capture_output=True, text=True, encoding="utf-8", cwd=cwd, check=False, timeout=120, env=variables
        )

    return run


CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium; one for all tests of a process."""
    webdriver = pytest.importorskip("selenium.webdriver")
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("Chromium is not installed")
    options = webdriver.ChromeOptions()
    flags = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-sync"
    for flag in [*flags.split(), "disable-component-update", "window-size=1280,1250"]:
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_page_load_timeout(30)
    yield driver
    driver.quit()


SAMPLED = {
    "test_a_plugin_that_cannot_be_loaded_is_named_and_the_folder_is_not_called_damaged": 5,
    "test_a_run_is_running_until_a_signal_interrupts_it_and_then_clean_removes_it": 3,
    "test_a_run_whose_data_file_changed_is_shown_drawn_and_exported_from_its_folder": 4,
    "test_a_signal_ends_the_command_at_once": 2,
    "test_a_sweep_keeps_finished_blocks_and_is_resumed_after_the_fix": 2,
    "test_a_sweep_that_a_signal_ends_says_how_to_resume": 2,
    "test_a_translation_is_called_exact_if_and_only_if_all_weights_agree": 4,
    "test_a_translation_is_called_exact_if_and_only_if_the_paths_agree": 4,
    "test_all_configurations_run_although_nobody_reads_the_results": 3,
    "test_an_impossible_time_zone_breaks_no_command": 2,
    "test_an_object_gives_the_numbers_of_its_name": 3,
    "test_commands_run": 4,  # abridged and whole blocks alternate
    "test_damage_is_reported_and_never_read": 4,
    "test_every_file_of_a_folder_may_be_anything": 2,
    "test_every_key_of_a_record_may_be_missing_or_wrong": 3,
    "test_every_optimizer_gets_a_clear_answer": 4,
    "test_every_surface_can_be_drawn": 4,
    "test_every_surface_can_be_drawn_without_a_warning": 2,
    "test_figures_do_not_depend_on_the_backend_of_the_environment": 4,
    "test_free_lanes_can_be_refilled_at_any_time": 4,
    "test_help_fits_80_columns_and_describes_every_option": 2,
    "test_large_experiments_are_thinned_to_fit_and_the_page_says_so": 4,
    "test_no_printed_token_is_cut": 3,
    "test_no_text_of_a_figure_overlaps_or_is_cut_off": 4,
    "test_no_text_of_a_map_overlaps_or_is_cut_off": 4,
    "test_no_text_of_a_shipped_figure_overlaps_or_is_cut_off": 4,
    "test_no_text_overlaps_or_is_cut_off": 4,
    "test_predictions_of_shipped_configurations_are_one_row_per_trial": 4,
    "test_results_do_not_depend_on_whether_theory_can_use_a_plugin": 2,
    "test_the_copied_command_gives_the_numbers_of_the_page": 4,
    "test_the_examples_of_a_help_text_run": 2,
    "test_the_largest_accepted_expressions_are_ready_in_two_seconds": 4,
    "test_the_proof_shows_what_is_claimed": 4,
    "test_theory_describes_every_surface": 3,
    "test_tuning_finds_the_optimum_of_polyak_on_quadratics": 2,
}
"""Expensive tests with many cases: the ordinary suite runs every n-th case, the marker ``long`` the others."""


def pytest_collection_finish() -> None:
    """Exclude the thousands of tests from the search for garbage, which took a sixth of the time of all tests."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the cases that the ordinary suite leaves out."""
    seen: Counter[str] = Counter()
    for item in items:
        name = getattr(item, "originalname", item.name)
        # Solutions of exercises are many: the pages of the course are executed in full by the long tests.
        is_lesson = name == "test_commands_run" and "[lesson_" in item.name and not item.name.endswith("-0-abridged]")
        if is_lesson or seen[name] % SAMPLED.get(name, 1):
            item.add_marker(pytest.mark.long)
        seen[name] += 1
