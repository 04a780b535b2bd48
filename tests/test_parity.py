"""Live comparison with PyTorch and optax on random hyperparameters: ``pytest -m parity``, with the extra [parity]."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import momentumlab
from momentumlab.config.values import read_schedule
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.parameters import Parameter, ValueKind
from tests.golden.cases import CASES
from tests.golden.references import reference_path
from tests.golden.schedules import CASES as SCHEDULE_CASES
from tests.golden.schedules import Case as ScheduleCase
from tests.golden.schedules import reference_values

pytestmark = pytest.mark.parity

CURVATURES = np.array([0.125, 1.0, 4.0])
START = [1.0, -2.0, 0.5]
PAIRS = sorted({(case.library, case.optimizer) for case in CASES})

# Knobs that the other library does not have, or has with another meaning.
UNCOMMON = {
    ("optax", "adagrad"): {"lr_decay"},
    ("optax", "polyak_step"): {"lr"},
    ("optax", "adam"): {"weight_decay"},
    ("optax", "adamw"): {"amsgrad"},
    ("optax", "nadam"): {"momentum_decay"},
}


def values(parameter: Parameter) -> st.SearchStrategy[Any]:
    """Values that keep a path away from chaos."""
    if parameter.kind is ValueKind.FLAG:
        return st.booleans()
    by_name = {"lr": (1e-5, 3e-3), "eps": (1e-6, 0.1), "eps_root": (1e-6, 0.1), "eta_plus": (1.05, 1.4)}
    if parameter.name in by_name:
        return st.floats(*by_name[parameter.name])
    return st.floats(0.3, 0.99) if parameter.lt == 1 else st.floats(1e-3, 0.05)


@pytest.mark.parametrize(("library", "optimizer"), PAIRS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_random_settings_give_the_path_of_the_library(library: str, optimizer: str, data: st.DataObject) -> None:
    pytest.importorskip(library)
    left_out = UNCOMMON.get((library, optimizer), set())
    hyper: dict[str, Any] = {}
    for parameter in OPTIMIZERS[optimizer].parameters():
        if parameter.name == "dialect":
            hyper["dialect"] = "optax" if library == "optax" else "pytorch"
        elif parameter.name not in left_out:
            hyper[parameter.name] = data.draw(values(parameter), label=parameter.name)
    if optimizer == "polyak_step":
        hyper["lr"] = 1.0
    surface = {"name": "quadratic", "eigenvalues": CURVATURES.tolist()}
    result = momentumlab.run({"surface": surface, "optimizer": {"name": optimizer, **hyper}, "start": START})
    known = {key: value for key, value in hyper.items() if key != "dialect"}
    expected = reference_path(
        library,
        optimizer,
        known,
        lambda x: CURVATURES * x,
        lambda x: float((CURVATURES * x * x).sum() / 2),
        np.array(START),
        100,
    )
    np.testing.assert_allclose(result.positions[0], expected, atol=1e-11 * np.abs(expected).max(), rtol=0)


@settings(max_examples=40, deadline=None)
@given(
    numbers=st.tuples(st.floats(1e-3, 10), st.floats(0, 1), st.floats(0.5, 0.999), st.integers(1, 60)),
    pct_start=st.floats(0.05, 0.95),
)
def test_random_schedules_have_the_values_of_the_libraries(
    numbers: tuple[float, float, float, int], pct_start: float
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("optax")
    start, share, factor, over = numbers
    end, length = start * share, over + 2
    cosine = f"cosine({start!r}, {end!r}, over={over})"
    fixed: dict[str, Any] = {"base": start, "text": "", "recorded": over + 1}
    cycle = f"onecycle({start!r}, over={length}, pct_start={pct_start!r}"
    made = [
        (cosine, ScheduleCase(library="torch", make=lambda s, o: s.CosineAnnealingLR(o, over, end), **fixed)),
        (cosine, ScheduleCase(library="optax", make=lambda x: x.cosine_decay_schedule(start, over, share), **fixed)),
        (
            f"step({start!r}, factor={factor!r}, every={over})",
            ScheduleCase(library="torch", make=lambda s, o: s.StepLR(o, over, factor), **{**fixed, "recorded": 100}),
        ),
        (
            f"exponential({start!r}, {factor!r})",
            ScheduleCase(library="torch", make=lambda s, o: s.ExponentialLR(o, factor), **{**fixed, "recorded": 100}),
        ),
        (
            f"{cycle})",
            ScheduleCase(
                library="torch",
                make=lambda s, o: s.OneCycleLR(o, start, total_steps=length, pct_start=pct_start, cycle_momentum=False),
                **{**fixed, "recorded": length},
            ),
        ),
        (
            f"{cycle}, dialect=optax)",
            ScheduleCase(library="optax", make=lambda x: x.cosine_onecycle_schedule(length, start, pct_start), **fixed),
        ),
    ]
    for text, case in made:
        values = read_schedule(text).value(np.arange(case.recorded, dtype=np.float64), 100)
        np.testing.assert_allclose(values, reference_values(case), rtol=1e-11, atol=1e-13 * start, err_msg=text)


@pytest.mark.parametrize("case", SCHEDULE_CASES, ids=lambda case: case.key)
def test_recorded_schedules_are_still_those_of_the_installed_libraries(case: ScheduleCase) -> None:
    pytest.importorskip(case.library)
    values = read_schedule(case.text).value(np.arange(case.recorded, dtype=np.float64), 100)
    np.testing.assert_allclose(values, reference_values(case), rtol=1e-12, atol=1e-18)
