"""Hostile and odd input, made at random: refused in words or accepted; ``python -m tests.fuzz`` tries more of it."""

import functools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings

from tests.fuzz.inputs import KINDS, Case
from tests.fuzz.judge import Finding, apply, emptied, judge, make_sweep, watched

EXAMPLES = {"request": 60, "nested file": 8, "run": 12, "sweep folder": 20, "command": 20, "run folder": 30}
LONG = {"request": 10_000, "nested file": 300, "run": 3000, "sweep folder": 3000, "command": 2000, "run folder": 25_000}
"""A case of a run folder is up to three operations."""


@pytest.mark.parametrize(
    ("kind", "examples"),
    [
        *((kind, EXAMPLES.get(kind, 150)) for kind in KINDS),
        *(pytest.param(kind, LONG.get(kind, 20_000), marks=pytest.mark.long) for kind in KINDS),
    ],
)
def test_no_input_causes_a_traceback_a_hang_or_a_stray_file(
    kind: str, examples: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("fuzz") / "case"

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(KINDS[kind])
    def trial(case: Case) -> None:
        judge(case, emptied(folder))

    trial()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_both_accepted_and_refused(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "case"
    options = settings(
        max_examples=200, phases=[Phase.generate], database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )

    def ends(case: Case, ending: str) -> bool:
        return judge(case, emptied(folder)) == ending

    for ending in ("accepted", "refused"):
        find(KINDS[kind], functools.partial(ends, ending=ending), settings=options)


def test_the_judge_detects_hangs_tracebacks_and_stray_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def judged(loader: object) -> str:
        monkeypatch.setattr("tests.fuzz.judge.load_either", loader)
        with pytest.raises(Finding) as caught:
            judge({"mapping": {}}, emptied(tmp_path / "case"))
        return str(caught.value)

    def endless(*arguments: object) -> None:
        while True:
            pass

    def strayed(*arguments: object) -> None:
        (tmp_path / "strayed").write_text("")

    monkeypatch.setattr("tests.fuzz.judge.SECONDS", 0.05)
    assert "ZeroDivisionError" in judged(lambda *arguments: 1 / 0)
    assert "strayed" in judged(strayed)
    monkeypatch.setattr("tests.fuzz.judge.limited.__wrapped__.__defaults__", (0.05,))
    assert "takes more than" in judged(endless)


HOSTILE = {
    "a header of 8 TB": {"blocks/0.npz": {"how": "header", "shape": [10**12], "type": "<f8"}},
    "Python objects": {"blocks/0.npz": {"how": "header", "shape": [3], "type": "|O"}},
    "a block that is a folder": {"blocks/0.npz": {"how": "folder"}},
    "a note that is a folder": {"partial.json": {"how": "folder"}},
    "endless blocks": {"partial.json": {"how": "members", "members": {"block_trials": 10**12}}},
    "a deep note": {"partial.json": {"how": "json", "json": [[[[[[]]]]]]}},
    "numbers that JSON cannot have": {"partial.json": {"how": "members", "members": {"other": float("inf")}}},
    "no experiment": {"experiment.yaml": {"how": "removed"}},
}


@pytest.mark.parametrize("changes", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_folder_is_refused_or_computed_again(changes: dict[str, dict[str, object]], tmp_path: Path) -> None:
    judge({"changes": changes}, emptied(tmp_path / "case"))


def test_a_folder_without_damage_is_resumed_without_computing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from momentumlab import executor as workers
    from momentumlab.experiment import Experiment
    from momentumlab.runs import unfinished

    run = make_sweep(tmp_path / "out")
    partial = unfinished.read_partial(run)
    assert isinstance(partial.experiment, Experiment)
    assert list(unfinished.read_blocks(run, partial.experiment, partial.block_trials)) == [0]
    apply(run / "blocks" / "0.npz", {"how": "header", "shape": [12], "type": "<f8"})
    assert unfinished.read_blocks(run, partial.experiment, partial.block_trials) == {}
    assert partial.block_trials <= workers.LARGEST_BLOCK


def test_the_watch_distinguishes_inside_from_outside(tmp_path: Path) -> None:
    from tests.fuzz import judge as judging

    with watched(tmp_path / "inside"):
        (tmp_path / "inside").mkdir()
        (tmp_path / "inside" / "a").write_text("")
        assert not judging._Watch.strayed
        (tmp_path / "outside").mkdir()
        (tmp_path / "a").write_text("")
        (tmp_path / "a").rename(tmp_path / "b")
    assert len(judging._Watch.strayed) == 4
