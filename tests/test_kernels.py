"""Kernels compute the numbers of the NumPy engine: recorded, run as plain Python, and compiled."""

import dataclasses
import functools
import itertools
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import momentumlab
from momentumlab import cache, engine
from momentumlab.executor import Workers
from momentumlab.kernels import compiler, dispatch
from momentumlab.kernels.graph import in_order
from momentumlab.kernels.recording import Recording, record
from momentumlab.kernels.runner import make_tables
from momentumlab.kernels.tracer import UntraceableError
from momentumlab.kernels.writer import LANES, write
from momentumlab.optimizers import OPTIMIZERS, Here, Optimizer
from momentumlab.outcome import Outcome
from momentumlab.parameters import Array, ValueKind
from momentumlab.plan import Plan, make_plan
from momentumlab.report.entries import card
from momentumlab.result import Result
from momentumlab.surfaces import SURFACES, Surface
from momentumlab.surfaces.base import sum_coordinates
from momentumlab.system import cache_folder

NO_KERNEL = {
    "noisy_valley": "sampled",
    "bbob_gallagher_101": "argmax",
    "bbob_gallagher_21": "argmax",
    "bbob_katsuura": "operations",
}
"""Formulas without kernels: a sampled gradient, the index of the highest of many peaks, too many operations."""

FORMULAS = [name for name in SURFACES if SURFACES[name].is_formula and name not in NO_KERNEL]

UNTRACEABLE = {"newton"}
"""Optimizers without kernels: the pseudo-inverse of newton's Hessians is computed by LAPACK."""

TRACEABLE = [name for name in OPTIMIZERS if name not in UNTRACEABLE]

NUMPY_NAMES = {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}
INTERPRETER = {name: getattr(np, NUMPY_NAMES.get(name, name)) for name in compiler.MATHEMATICS}
"""What a kernel finds outside when Python runs it."""


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def random_plan(
    surface: str, optimizer: str, seed: int, *, trials: int = 9, iterations: int = 12, nudge: float = 0.0
) -> Plan:
    """A plan with random hyperparameters and starts, some of which make trials diverge and converge."""
    rng = np.random.default_rng(seed)
    lr = OPTIMIZERS[optimizer].default_lr * 10 ** rng.uniform(-2, 3, size=trials) * (1 + nudge)
    settings: dict[str, Any] = {"name": optimizer, "lr": np.sort(lr).tolist()}
    for parameter in OPTIMIZERS[optimizer].parameters()[1:]:
        if parameter.kind is ValueKind.NUMBER and rng.random() < 0.5:
            low = max(bound for bound in (parameter.ge, parameter.gt, -1.0) if bound is not None)
            high = min(bound for bound in (parameter.le, parameter.lt, low + 1) if bound is not None)
            settings[parameter.name] = (low + (high - low) * rng.uniform(0.01, 0.99, size=rng.integers(1, 3))).tolist()
        elif parameter.kind is ValueKind.FLAG:
            settings[parameter.name] = bool(rng.random() < 0.5)
        elif parameter.choices:
            settings[parameter.name] = str(rng.choice(parameter.choices))
    experiment = momentumlab.load(
        {
            "surface": surface,
            "optimizers": [settings],
            "start": f"random(2, seed={seed})",
            "iterations": iterations,
            "tolerance": 1e-3,
        }
    )
    return make_plan(experiment)


def run_interpreted(plan: Plan) -> Outcome:
    """Run the kernels of a plan as plain Python."""
    outcome = Outcome.of(plan, 0, plan.trials)
    for group in plan.groups:
        recording = record(group, plan.experiment)
        namespace: dict[str, Any] = dict(INTERPRETER)
        exec(write(recording), namespace)
        tables = make_tables(recording, group, plan.experiment)
        places = slice(group.first, group.first + group.size)
        results = outcome.points[places].reshape(-1), outcome.losses[places], outcome.iterations[places]
        work = np.empty(tables.slots * LANES), np.zeros(3 * LANES, dtype=np.int64), np.zeros(1, dtype=np.int64)
        with np.errstate(all="ignore"):
            arguments = (tables.numbers, tables.sizes.tolist(), tables.tables, *results, outcome.codes[places], *work)
            namespace["advance"](0, group.size, *arguments)
    return outcome


def run_compiled(plan: Plan) -> Outcome:
    outcome = Outcome.of(plan, 0, plan.trials)
    kernels = dispatch.kernels_for(plan)
    assert kernels is not None
    for part in kernels.run_blocks([(0, plan.trials)], 1):
        outcome.include(part)
    return outcome


def assert_equal(expected: Result, found: Outcome, *, exact: bool, nudged: Result | None = None) -> None:
    """Assert equal numbers, or else close ones, compared with what a change in the last digit of lr does."""
    nudged = nudged or expected
    assert found.iterations.tolist() == expected.iterations.tolist()
    assert found.codes.tolist() == expected.status_codes.tolist()
    if exact:
        np.testing.assert_array_equal(found.points, expected.final_points)
        np.testing.assert_array_equal(found.losses, expected.final_losses)
        return
    for actual, wanted, other, atol in (
        (found.points, expected.final_points, nudged.final_points, 0.0),
        (found.losses, expected.final_losses, nudged.final_losses, 1e-13),
    ):
        with np.errstate(invalid="ignore"):  # infinite losses
            is_amplified = np.abs(actual - wanted) <= 100 * np.abs(other - wanted)
        assert (np.isclose(actual, wanted, rtol=1e-9, atol=atol, equal_nan=True) | is_amplified).all()


# Which classes have kernels


@pytest.mark.parametrize("surface", FORMULAS)
def test_every_surface_that_is_a_formula_can_be_recorded(surface: str) -> None:
    assert isinstance(recording_of(surface, "momentum"), Recording)


@pytest.mark.parametrize(("surface", "reason"), NO_KERNEL.items())
def test_a_few_formulas_have_no_kernel(surface: str, reason: str) -> None:
    with pytest.raises(UntraceableError, match=reason):
        recording_of(surface, "momentum")


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_but_a_few_can_be_recorded(optimizer: str) -> None:
    if optimizer in UNTRACEABLE:
        with pytest.raises(UntraceableError, match="Hessian"):
            recording_of("ravine", optimizer)
    else:
        assert isinstance(recording_of("ravine", optimizer), Recording)


def is_possible(surface: str, optimizer: str) -> bool:
    """Return whether the surface provides what the optimizer requires, such as a known minimum."""
    instance = SURFACES[surface]()
    return OPTIMIZERS[optimizer].requires <= instance.provides(instance.default_dimension)


def recording_of(surface: str, optimizer: str, **settings: Any) -> Recording:
    experiment = momentumlab.load({"surface": surface, "optimizer": optimizer, **settings})
    return record(make_plan(experiment).groups[0], experiment)


@pytest.mark.parametrize(
    ("noun", "name", "answer"),
    [
        ("optimizers", "adam", "yes"),
        ("optimizers", "newton", "no, the optimizer uses the Hessian"),
        ("surfaces", "ackley", "yes"),
        ("surfaces", "least_squares", "no, the surface is not a formula"),
        ("surfaces", "sin(x) + y**2", "yes"),
    ],
)
def test_descriptions_say_whether_there_is_a_kernel(
    noun: str, name: str, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler, "is_available", lambda: False)  # the answer does not need numba
    (facts,) = (each for each in card(noun, name) if each.columns and "Compiled kernel:" in each.columns[0].cells)
    assert facts.columns[1].cells[facts.columns[0].cells.index("Compiled kernel:")].startswith(answer)


# The same numbers


def run_alike(pairs: list[tuple[str, str]]) -> None:
    """Assert that kernels that Python runs with NumPy's functions return exactly the numbers of the engine."""
    for seed, (surface, optimizer) in enumerate(pairs):
        plan = random_plan(surface, optimizer, seed)
        expected = engine.run(plan, history=False)
        # NumPy's vector instructions may round exp, sin, … differently than its scalar functions. A few paths, such as
        # that of NAdam on Rastrigin's function, amplify the last digit as they amplify a change of lr.
        exact = uses_arithmetic_only(surface) and optimizer != "nadam"
        nudged = expected if exact else engine.run(random_plan(surface, optimizer, seed, nudge=1e-15), history=False)
        assert_equal(expected, run_interpreted(plan), exact=exact, nudged=nudged)


@functools.cache
def uses_arithmetic_only(surface: str) -> bool:
    recording = recording_of(surface, "sgd")
    nodes = in_order([*recording.start.slots.values(), *recording.next.slots.values()])
    plain = (np.add, np.subtract, np.multiply, np.divide, np.negative, np.sqrt, np.abs, np.where)
    return all(node.operation is None or node.is_test or node.operation.evaluate in plain for node in nodes)


def test_kernels_of_all_surfaces_and_all_optimizers_return_the_numbers_of_the_engine() -> None:
    run_alike([(surface, TRACEABLE[i % len(TRACEABLE)]) for i, surface in enumerate(FORMULAS)])
    run_alike([("rosenbrock", optimizer) for optimizer in TRACEABLE])


@pytest.mark.long
@pytest.mark.parametrize("surface", FORMULAS)
def test_kernels_of_all_pairs_return_the_numbers_of_the_engine(surface: str) -> None:
    run_alike([(surface, optimizer) for optimizer in TRACEABLE if is_possible(surface, optimizer)])


SETTINGS: dict[str, dict[str, Any]] = {
    "noise": {"noise": "gaussian(0.1)", "replicates": 3, "seed": 4},
    "relative noise": {"noise": "relative(0.3)", "seed": 1},
    "a cycle of errors": {"noise": "cycle(1, -2, 0.5)"},
    "a schedule of lr": {"lr": "cosine(0.3)"},
    "a factor of lr": {"lr": [0.05, 0.2], "lr_schedule": ["wsd(1)", 1]},
    "schedules": {"lr": "warmup(5, cosine(0.1))", "beta": "linear(0.5, 0.95)"},
    "several schedules": {"beta": [0.5, "linear(0.5, 0.95)"]},
    "many starts": {"start": "grid(5, 4)"},
    "all criteria": {"tolerance": 1e-6, "gradient_tolerance": 0.02, "target_loss": 1e-5},
    "patience": {"tolerance": 1e-3, "patience": 3, "beta": [0, 0.5, 0.9]},
    "no iterations": {"iterations": 0},
    "a start at the minimum": {"start": [[0.0, 0.0], [1.0, 1.0]], "gradient_tolerance": 0},
    "a start beyond the bounds": {"start": [[1e17, 0.0], [1.0, 1.0]]},
    "axes of the surface": {"surface": {"name": "ravine", "a": [0.1, 0.2], "b": "linspace(1, 9, 3)"}},
    "an expression": {"surface": "x**2/3 + (y - x)**2 * (1 + abs(y))", "start": [1.0, 2.0]},
    "an expression with a parameter": {"surface": {"name": "x**2 + k*y**2", "k": [1, 10]}, "start": [1.0, 2.0]},
    "more trials than lanes": {"beta": "linspace(0, 0.99, 31)", "tolerance": 1e-2},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_kernels_cover(settings: dict[str, Any]) -> None:
    base = {"surface": "ravine", "optimizer": "momentum", "lr": "linspace(0.01, 0.25, 4)", "iterations": 30}
    plan = make_plan(momentumlab.load({**base, **settings}))
    assert_equal(engine.run(plan, history=False), run_interpreted(plan), exact=True)


COMPILED = [("ravine", "momentum"), ("ackley", "adam")]


PAIRS = [
    pytest.param(*pair, marks=[] if pair in COMPILED else pytest.mark.long)
    for pair in itertools.product(FORMULAS, TRACEABLE)
    if is_possible(*pair)
]


@pytest.mark.parametrize(("surface", "optimizer"), PAIRS)
def test_compiled_kernels_return_the_numbers_of_the_engine(surface: str, optimizer: str) -> None:
    pytest.importorskip("numba")
    # Functions such as exp are rounded differently by NumPy and by the C library. Over many iterations, such errors can
    # grow without limit, so the step is compared.
    exact = uses_arithmetic_only(surface) and optimizer != "nadam"
    plan = random_plan(surface, optimizer, seed=1, trials=300, iterations=40 if exact else 1)
    plan = make_plan(dataclasses.replace(plan.experiment, backend="numba"))
    expected, found = engine.run(plan, history=False), run_compiled(plan)
    if exact:
        assert_equal(expected, found, exact=True)
        return
    assert found.iterations.tolist() == expected.iterations.tolist()
    assert found.codes.tolist() == expected.status_codes.tolist()
    # Some surfaces amplify rounding errors, and far outside their window without limit. What a kernel may differ by is
    # measured: by how much the numbers of the engine change if the starts change in their last digits.
    is_near = (np.abs(expected.final_points) <= 10 * np.abs(plan.groups[0].starts).max()).all(axis=1)
    changes = [change * 2.0**-48 for change in (-3, -2, -1, 1, 2, 3)]
    moved = [engine.run(with_starts_times(plan, 1 + change), history=False) for change in changes]
    for name, numbers in (("final_points", found.points), ("final_losses", found.losses)):
        own = getattr(expected, name)
        tolerance = 1e-9 * np.abs(own) + 1e-13 + 8 * sum(np.abs(getattr(each, name) - own) for each in moved)
        assert (np.abs(numbers - own) <= tolerance)[is_near].all()


def with_starts_times(plan: Plan, factor: float) -> Plan:
    groups = tuple(dataclasses.replace(group, starts=group.starts * factor) for group in plan.groups)
    return dataclasses.replace(plan, groups=groups)


def test_no_operations_are_contracted() -> None:
    """A fused multiply-add rounds once where NumPy rounds twice."""
    pytest.importorskip("numba")
    from llvmlite import binding

    machine = compiler._machine(binding.get_default_triple())
    product = "%a = fmul double %x, %y\n%b = fadd double %a, %z\nret double %b"
    module = binding.parse_assembly(f"define double @f(double %x, double %y, double %z) {{\n{product}\n}}")
    assembly = machine.emit_assembly(module)
    assert "mul" in assembly
    assert "fma" not in assembly
    assert "fmadd" not in assembly


# What cannot be recorded


@dataclass(frozen=True, kw_only=True)
class Branching(Surface):
    """A surface whose Python code depends on the data."""

    formula = latex = source = "x²"
    view, start = ((-1.0, 1.0),) * 2, (0.5, 0.5)

    def value(self, x: Array) -> Array:
        return sum_coordinates(x * x) if np.all(x < 1e9) else sum_coordinates(x)

    def gradient(self, x: Array) -> Array:
        return 2 * x


@dataclass(frozen=True, kw_only=True)
class Random(Branching):
    """A surface that draws numbers of its own."""

    def value(self, x: Array) -> Array:
        return sum_coordinates(x * x) + np.random.default_rng().normal()


@pytest.mark.parametrize(("cls", "reason"), [(Branching, "calls numpy.all"), (Random, "more than its arguments")])
def test_code_that_a_recording_would_misrepresent_runs_on_numpy(
    cls: type[Surface], reason: str, own_functions: None
) -> None:
    SURFACES.register(cls.__name__.lower(), cls)
    cls.name = cls.__name__.lower()
    try:
        with pytest.raises(UntraceableError, match=reason):
            recording_of(cls.name, "sgd")
        pytest.importorskip("numba")
        plan = make_plan(momentumlab.load({"surface": cls.name, "optimizer": "sgd", "backend": "numba"}))
        with Workers(1) as workers:
            result = workers.run(plan)
        assert any("is computed by NumPy" in note for note in result.notes)
    finally:
        SURFACES.forget(cls.name)


class Point(NamedTuple):
    """A state that is the point."""

    x: Array


@dataclass(frozen=True, kw_only=True)
class Placing(Optimizer[Point]):
    """An optimizer that sets the point, twice as far along the gradient as its velocity says."""

    equation = source = "x ← x − 2 lr·g"

    @property
    def sets_point(self) -> bool:
        return True

    def init(self, x: Array) -> Point:
        return Point(x)

    def step(self, state: Point, g: Array, here: Here) -> tuple[Array, Point]:
        return g, Point(here.x - 2 * here.lr * g)


def test_optimizers_that_set_the_point_run_on_numpy() -> None:
    momentumlab.optimizers.optimizer("placing", lr=0.1)(Placing)
    try:
        with pytest.raises(UntraceableError, match="sets the point"):
            recording_of("ravine", "placing")
    finally:
        OPTIMIZERS.forget("placing")


# The backend


PLANE = {"surface": "ravine", "optimizer": "momentum", "lr": "linspace(0.01, 0.2, 40)", "beta": "linspace(0, 0.9, 40)"}


def test_nothing_needs_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "is_available", lambda: False)
    assert momentumlab.sweep(PLANE, iterations=10**6, target_loss=1.0).result.notes == ()
    with pytest.raises(momentumlab.ConfigError, match=r"pip install .*momentumlab\[fast\]"):
        momentumlab.sweep(PLANE, backend="numba")


def test_recorded_runs_are_computed_by_numpy_and_say_so() -> None:
    recorded = momentumlab.run(PLANE, iterations=1, record="all", backend="numba")
    assert any("do not record" in note for note in recorded.notes)
    assert momentumlab.run(PLANE, iterations=1, record="all").notes == ()


def test_short_runs_are_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "load", lambda source: pytest.fail("compiles"))
    momentumlab.sweep(PLANE)


def test_results_do_not_depend_on_backend_blocks_and_threads() -> None:
    pytest.importorskip("numba")
    results = []
    for backend_name, threads in (("numpy", 1), ("numba", 1), ("numba", 3)):
        plan = make_plan(momentumlab.load({**PLANE, "backend": backend_name, "tolerance": 1e-6, "patience": 5}))
        with Workers(threads) as workers:
            results.append(workers.run(plan, block_trials=700))
    for result in results[1:]:
        assert result.final_points.tobytes() == results[0].final_points.tobytes()
        assert result.iterations.tolist() == results[0].iterations.tolist()
        assert result.notes == ("computed by compiled kernels (numba)",)


def test_ctrl_c_ends_kernels_at_once() -> None:
    pytest.importorskip("numba")
    settings = {**PLANE, "lr": "linspace(1e-9, 2e-9, 40)", "iterations": 10**9, "tolerance": 0, "patience": 5}
    plan = make_plan(momentumlab.load({**settings, "backend": "numba"}))
    assert dispatch.kernels_for(plan) is not None  # compiled before the clock starts
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    begin = time.monotonic()
    timer.start()
    with pytest.raises(KeyboardInterrupt), Workers(2) as workers:
        workers.run(plan)
    timer.join()
    assert time.monotonic() - begin < 0.5 + 0.2


# The cache folder


def test_cache_returns_what_was_written() -> None:
    cache.write("entry", b"contents")
    assert cache.read("entry") == b"contents"
    assert cache.read("another") is None


@pytest.mark.parametrize("damage", [b"", b"x", b"\0" * 100])
def test_damaged_entries_are_ignored_and_replaced(damage: bytes) -> None:
    cache.write("damaged", b"contents")
    (cache_folder() / "damaged").write_bytes(damage)
    assert cache.read("damaged") is None
    cache.write("damaged", b"contents")
    assert cache.read("damaged") == b"contents"


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs POSIX permissions")
@pytest.mark.parametrize("place", ["", "shared"])
def test_entries_that_others_could_have_written_are_ignored(place: str) -> None:
    cache.write("shared", b"contents")
    path = cache_folder() / place
    mode = path.stat().st_mode
    path.chmod(mode | 0o020)
    try:
        assert cache.read("shared") is None
    finally:
        path.chmod(mode)


@pytest.mark.parametrize("home", ["/dev/null/home", "/proc/none"])
def test_an_unusable_cache_folder_does_no_harm(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", home)
    cache.write("entry", b"contents")
    assert cache.read("entry") is None
    assert cache.clear() == (0, 0)


def test_clear_empties_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache.write("entry", b"contents")
    assert cache.clear()[0] == 1
    assert list(cache_folder().iterdir()) == []


def test_processes_can_write_the_same_entry_at_the_same_time() -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: cache.write("same", b"contents" * 10_000), range(64)))
    assert cache.read("same") == b"contents" * 10_000
    assert [path.name for path in cache_folder().iterdir() if path.name.startswith("tmp")] == []
