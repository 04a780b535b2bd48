"""Comparison of a repeated run with its stored numbers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np

from momentumlab.errors import printable
from momentumlab.parameters import Array
from momentumlab.result import Result
from momentumlab.runs.identity import changed_versions, digest
from momentumlab.runs.read import LoadedRun

ROUNDING = 1e-9
"""Largest relative difference, with respect to the largest number of a trial, that is attributed to rounding."""

HISTORIES = {"position": "positions", "velocity": "velocities", "loss": "losses"}
FINAL_STATES = {"final point": "final_points", "final loss": "final_losses"}
"""Compared arrays of results with and without histories, by the names of their quantities."""


class Verdict(Enum):
    """How a repetition compares with the stored run, with an explanation."""

    IDENTICAL = "identical", "identical to the last bit"
    ROUNDING = "within_rounding", f"identical up to rounding ({ROUNDING:g} of the largest number of a trial)"
    DIFFERENT = "different", "different"

    def __init__(self, label: str, message: str) -> None:
        self.label = label
        self.message = message


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Largest difference of one quantity, absolute and relative to the largest number of its trial.

    The relative difference is infinite if only one of the two numbers is finite. Trials are counted over all results.
    """

    quantity: str
    absolute: float
    relative: float
    trial: int


@dataclass(frozen=True, kw_only=True)
class Repetition:
    """A repeated run compared with the stored one.

    Attributes
    ----------
    verdict
        How they compare.
    differences
        Quantities that differ; empty if none does, or if the stored numbers are not available.
    changed_ends
        Number of trials with another status or number of iterations.
    changed_data
        Data files that are missing or have changed since the run, whose copies were used.
    versions
        Versions then and now, where they differ.
    results
        The new results.
    """

    verdict: Verdict
    differences: tuple[Difference, ...] = ()
    changed_ends: int = 0
    changed_data: Sequence[str] = ()
    versions: Mapping[str, tuple[str, str]]
    results: tuple[Result, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison for JSON."""
        return {
            "verdict": self.verdict.label,
            "differences": [vars(each) for each in self.differences],
            "changed_ends": self.changed_ends,
            "changed_data": list(self.changed_data),
            "versions": {name: {"then": then, "now": now} for name, (then, now) in self.versions.items()},
        }

    def lines(self, what: str) -> Iterator[str]:
        """Yield the comparison as lines of text; ``what`` names what was repeated."""
        yield f"{what}: {self.verdict.message}"
        for each in self.differences:
            share = "only one of them is finite"
            if np.isfinite(each.relative):
                share = f"{each.relative:.2g} of the trial's largest"
            yield f"largest difference of a {each.quantity}: {each.absolute:.3g} (trial {each.trial}, {share})"
        if self.changed_ends:
            noun = "trial" if self.changed_ends == 1 else "trials"
            yield f"{self.changed_ends:,} {noun} ended with another status or number of iterations"
        if self.verdict is Verdict.DIFFERENT and not self.differences:
            yield "the size of the difference is unknown without the numbers of the run folder"
        yield from map(printable, self.changed_data)
        for name, (then, now) in self.versions.items():
            yield f"{name} was {printable(then)} and is {now}"
        if not self.versions and self.verdict is not Verdict.IDENTICAL:
            yield "the versions of momentumlab, NumPy, Python and the platform are the same"


def compare_with_folder(stored: LoadedRun, repeated: Sequence[Result]) -> Repetition:
    """Compare a repetition with the numbers in a run folder."""
    different = Repetition(
        verdict=Verdict.DIFFERENT,
        changed_data=stored.changed_data,
        versions=changed_versions(stored.provenance),
        results=tuple(repeated),
    )
    pairs = list(zip(stored.results, repeated, strict=True))
    if any(old.trials != new.trials for old, new in pairs):  # a search has chosen other settings
        return different
    have_histories = all(old.history is not None and new.history is not None for old, new in pairs)
    quantities = HISTORIES if have_histories else FINAL_STATES
    arrays = {
        name: [(getattr(old, attribute), getattr(new, attribute)) for old, new in pairs]
        for name, attribute in quantities.items()
    }
    same_histories = not have_histories or all(
        old.shape == new.shape and old.tobytes() == new.tobytes() for each in arrays.values() for old, new in each
    )
    if same_histories and digest(stored.results) == digest(repeated):
        return replace(different, verdict=Verdict.IDENTICAL)
    found = [_largest_difference(name, each) for name, each in arrays.items()]
    ends = sum(int(((o.status_codes != n.status_codes) | (o.iterations != n.iterations)).sum()) for o, n in pairs)
    is_close = ends == 0 and all(each.relative <= ROUNDING for each in found)
    return replace(
        different,
        verdict=Verdict.ROUNDING if is_close else Verdict.DIFFERENT,
        differences=tuple(each for each in found if each.absolute > 0 or each.relative > 0),
        changed_ends=ends,
    )


def compare_with_png(summary: Mapping[str, Any], repeated: Sequence[Result]) -> Repetition:
    """Compare the final states of a repetition with the hash stored in a PNG."""
    verdict = Verdict.IDENTICAL if digest(repeated) == summary["digest"] else Verdict.DIFFERENT
    return Repetition(verdict=verdict, versions=changed_versions(summary), results=tuple(repeated))


def _largest_difference(quantity: str, pairs: Sequence[tuple[Array, Array]]) -> Difference:
    """Return the largest difference over all trials, ignoring entries that only one of two histories has."""
    worst = Difference(quantity=quantity, absolute=0.0, relative=0.0, trial=0)
    first = 0
    for old, new in pairs:
        trials = len(old)
        common = (slice(None), slice(min(old.shape[1], new.shape[1]))) if old.ndim > 1 else ()
        a, b = old[common].reshape(trials, -1), new[common].reshape(trials, -1)
        with np.errstate(all="ignore"):
            same = (a == b) | (np.isnan(a) & np.isnan(b))
            gaps = np.where(same, 0.0, np.abs(a - b))
            absolute = np.where(np.isnan(gaps), np.inf, gaps).max(axis=1)
            scale = np.abs(np.where(np.isfinite(a), a, 0.0)).max(axis=1)
            relative = np.where(absolute > 0, absolute / np.where(scale > 0, scale, 1.0), 0.0)
        trial = int(relative.argmax())
        if relative[trial] > worst.relative:
            found = float(absolute[trial]), float(relative[trial])
            worst = Difference(quantity=quantity, absolute=found[0], relative=found[1], trial=first + trial)
        first += trials
    return worst
