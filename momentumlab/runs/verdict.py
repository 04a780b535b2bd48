"""A run once more, and how far its numbers are from those that were kept."""

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from momentumlab import __version__, api
from momentumlab.experiment import Comparison, Experiment
from momentumlab.plan import make_plan
from momentumlab.registry import Array
from momentumlab.result import Result
from momentumlab.runs.header import SWEEP, digest
from momentumlab.runs.listing import shown
from momentumlab.runs.png_metadata import VERSIONS
from momentumlab.runs.read import Loaded
from momentumlab.search import ComparisonResult

ROUNDING = 1e-9
"""Numbers that differ by no more than this share of the largest of their trial differ by rounding."""


class Verdict(Enum):
    """How a repetition compares with what it repeats, with the sentence that says so."""

    IDENTICAL = "identical", "the same to the last bit"
    ROUNDING = "within_rounding", f"the same up to rounding ({ROUNDING:g} of the largest number of a trial)"
    DIFFERENT = "different", "not the same"

    def __init__(self, label: str, message: str) -> None:
        self.label = label
        self.message = message


@dataclass(frozen=True, kw_only=True)
class Difference:
    """By how much one quantity differs at the most.

    Attributes
    ----------
    quantity
        ``position``, ``velocity``, ``loss``; or, where that is all there is, the final ones.
    absolute
        The largest difference.
    relative
        The largest share of the largest number of its trial; infinite where one is finite and the other is not.
    trial
        Where that is, counted from 0 through all results.
    """

    quantity: str
    absolute: float
    relative: float
    trial: int


@dataclass(frozen=True, kw_only=True)
class Repetition:
    """What came of a repetition.

    Attributes
    ----------
    differences
        Of what can be compared; nothing where all is the same, or the old numbers are not there.
    ended_otherwise
        How many trials ended with another status, or after another number of iterations.
    versions
        What was used then and now, where that differs.
    results
        The new ones.
    """

    verdict: Verdict
    differences: tuple[Difference, ...]
    ended_otherwise: int
    versions: Mapping[str, tuple[str, str]]
    results: tuple[Result, ...]
    comparison: ComparisonResult | None

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {
            "verdict": self.verdict.label,
            "differences": [vars(each) for each in self.differences],
            "ended_otherwise": self.ended_otherwise,
            "versions": {name: {"then": then, "now": now} for name, (then, now) in self.versions.items()},
        }

    def lines(self, what: str) -> Iterator[str]:
        """For people; ``what`` was repeated."""
        yield f"{what}: {self.verdict.message}"
        for each in self.differences:
            share = f"{each.relative:.2g} of its trial's largest" if np.isfinite(each.relative) else "not finite in one"
            yield f"largest difference of a {each.quantity}: {each.absolute:.3g} (trial {each.trial}, {share})"
        if self.ended_otherwise:
            noun = "trial" if self.ended_otherwise == 1 else "trials"
            yield f"{self.ended_otherwise:,} {noun} ended with another status, or after other iterations"
        if self.verdict is Verdict.DIFFERENT and not self.differences:
            yield "by how much cannot be told without the numbers of the run folder"
        for name, (then, now) in self.versions.items():
            yield f"{name} was {shown(then)}, and is {now}"
        if not self.versions and self.verdict is not Verdict.IDENTICAL:
            yield "momentumlab, NumPy, Python and platform are those with which it was run"


def run_again(
    experiment: Experiment | Comparison, kind: str, *, out: Path | None, plots: bool, command_line: str | None
) -> tuple[tuple[Result, ...], ComparisonResult | None]:
    """Run what a folder or a picture holds; into a run folder in ``out``, if that is given.

    Raises
    ------
    OutputError
        If the run folder cannot be written.
    """
    if isinstance(experiment, Comparison):
        comparison = api.execute_comparison(experiment, out=out, plots=plots, command_line=command_line).result
        return comparison.results, comparison
    is_sweep = kind == SWEEP
    how = api.Execution(plots=plots, record="none" if is_sweep else "all", is_sweep=is_sweep, command_line=command_line)
    return (api.execute(make_plan(experiment, max_trials=experiment.trials), how, out=out).result,), None


def held_against(kept: Loaded, again: Sequence[Result], comparison: ComparisonResult | None) -> Repetition:
    """The numbers of a repetition beside those that a run folder holds."""
    pairs = list(zip(kept.results, again, strict=True))
    if any(old.trials != new.trials for old, new in pairs):  # another search has chosen something else
        return _repetition(Verdict.DIFFERENT, kept.provenance, again, comparison)
    if all(_same_bits(old, new) for old, new in pairs):
        return _repetition(Verdict.IDENTICAL, kept.provenance, again, comparison)
    codes = sum(int(((o.status_codes != n.status_codes) | (o.iterations != n.iterations)).sum()) for o, n in pairs)
    quantities: Mapping[str, Callable[[Result], Array]]
    quantities = {"final point": lambda result: result.final_points, "final loss": lambda result: result.final_losses}
    if all(old.history is not None and new.history is not None for old, new in pairs):
        quantities = {
            "position": lambda result: result.positions,
            "velocity": lambda result: result.velocities,
            "loss": lambda result: result.losses,
        }
    found = [_largest(name, [(of(old), of(new)) for old, new in pairs]) for name, of in quantities.items()]
    differences = tuple(each for each in found if each.absolute > 0 or each.relative > 0)
    close = codes == 0 and all(each.relative <= ROUNDING for each in differences)
    verdict = Verdict.ROUNDING if close else Verdict.DIFFERENT
    return _repetition(verdict, kept.provenance, again, comparison, differences, codes)


def held_against_digest(
    told: Mapping[str, Any], again: Sequence[Result], comparison: ComparisonResult | None
) -> Repetition:
    """A repetition beside what a picture tells of how all trials ended: whether they did to the last bit."""
    verdict = Verdict.IDENTICAL if digest(again) == told["digest"] else Verdict.DIFFERENT
    return _repetition(verdict, told, again, comparison)


def _repetition(
    verdict: Verdict,
    then: Mapping[str, Any],
    again: Sequence[Result],
    comparison: ComparisonResult | None,
    differences: tuple[Difference, ...] = (),
    ended_otherwise: int = 0,
) -> Repetition:
    now = {
        "momentumlab": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    versions = {name: (str(then.get(name)), now[name]) for name in VERSIONS if then.get(name) != now[name]}
    return Repetition(
        verdict=verdict,
        differences=differences,
        ended_otherwise=ended_otherwise,
        versions=versions,
        results=tuple(again),
        comparison=comparison,
    )


def _same_bits(old: Result, new: Result) -> bool:
    if digest([old]) != digest([new]):
        return False
    if old.history is None or new.history is None:
        return True
    pairs = ((old.positions, new.positions), (old.velocities, new.velocities), (old.losses, new.losses))
    return all(a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in pairs)


def _largest(quantity: str, pairs: Sequence[tuple[Array, Array]]) -> Difference:
    """The largest difference over all trials; entries that only one of two paths has are not compared."""
    worst = Difference(quantity=quantity, absolute=0.0, relative=0.0, trial=0)
    first = 0
    for old, new in pairs:
        trials = len(old)
        if old.ndim > 1:
            length = min(old.shape[1], new.shape[1])
            old, new = old[:, :length].reshape(trials, -1), new[:, :length].reshape(trials, -1)  # noqa: PLW2901
        else:
            old, new = old.reshape(trials, 1), new.reshape(trials, 1)  # noqa: PLW2901
        with np.errstate(all="ignore"):
            same = (old == new) | (np.isnan(old) & np.isnan(new))
            gaps = np.where(same, 0.0, np.abs(old - new))
            gaps = np.where(np.isnan(gaps), np.inf, gaps)
            scale = np.abs(np.where(np.isfinite(old), old, 0.0)).max(axis=1)
            absolute = gaps.max(axis=1)
            relative = np.where(absolute > 0, absolute / np.where(scale > 0, scale, 1.0), 0.0)
        trial = int(relative.argmax())
        if relative[trial] > worst.relative:
            worst = Difference(
                quantity=quantity,
                absolute=float(absolute[trial]),
                relative=float(relative[trial]),
                trial=first + trial,
            )
        first += trials
    return worst
