"""Every optimizer that PyTorch or optax has gives the path that was recorded with it, to 1e-12 of the path's scale."""

from pathlib import Path

import numpy as np
import pytest

import momentumlab
from momentumlab.optimizers import OPTIMIZERS
from tests.golden.cases import CASES, ITERATIONS, KEPT, SURFACES, Case

ARCHIVE = np.load(Path(__file__).parent / "golden" / "trajectories.npz", allow_pickle=False)


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.key(""))
def test_the_path_is_the_recorded_one(case: Case, surface: str) -> None:
    recorded = ARCHIVE[case.key(surface)]
    result = momentumlab.run(
        {**SURFACES[surface], "optimizer": {"name": case.optimizer, **case.hyper}, "iterations": ITERATIONS}
    )
    path = result.positions[0][KEPT]
    scale = np.abs(recorded).max()
    assert np.abs(path - recorded).max() <= 1e-12 * scale


def test_the_archive_names_the_versions_that_made_it() -> None:
    assert [entry.split()[0] for entry in ARCHIVE["versions"]] == ["torch", "optax", "jax", "numpy"]


def test_the_archive_holds_every_case_and_nothing_else() -> None:
    assert {case.key(surface) for case in CASES for surface in SURFACES} == set(ARCHIVE) - {"versions"}


@pytest.mark.parametrize("name", sorted({case.optimizer for case in CASES}))
def test_every_knob_is_moved_off_its_default_somewhere(name: str) -> None:
    declared = {parameter.name: parameter for parameter in OPTIMIZERS[name].parameters()}
    moved = {
        key
        for case in CASES
        if case.optimizer == name
        for key, value in case.hyper.items()
        if value != declared[key].default_in(case.hyper.get("dialect", ""))
    }
    assert declared.keys() - moved <= {"dialect", "lr"}, "cases miss a knob"


def test_every_optimizer_that_claims_to_agree_with_a_library_is_recorded() -> None:
    claiming = {name for name, cls in OPTIMIZERS.items() if "agree" in cls.source}
    assert claiming == {case.optimizer for case in CASES}
