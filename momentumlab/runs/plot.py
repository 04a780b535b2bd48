"""The figures of a run folder again, without computing, with other options."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from momentumlab.errors import ConfigError, Problem
from momentumlab.report.figure_files import (
    Drawings,
    comparison_drawings,
    file_suffixes,
    run_drawings,
    sweep_drawings,
)
from momentumlab.runs.png_metadata import stamp
from momentumlab.runs.read import Loaded
from momentumlab.surfaces.base import Intervals

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def drawings(
    loaded: Loaded, *, only: Sequence[str] = (), theory: bool = False, view: Intervals | None = None
) -> Drawings:
    """The figures of what was read, by the names of their files.

    Parameters
    ----------
    loaded
        What a run folder holds.
    only
        The figures that are asked for; all, if none is named. ``loss`` is that of every surface of a comparison.
    theory
        Whether curves and maps show what theory says, too.
    view
        The window of the paths.

    Raises
    ------
    ConfigError
        If there is no such figure, or it cannot be drawn so.
    """
    every = _every(loaded, theory=theory, view=view)
    problems = []
    chosen: dict[str, Callable[[], Figure]] = {}
    for name in only or every:
        fitting = {each: draw for each, draw in every.items() if each == name or each.startswith(f"{name}-")}
        chosen.update(fitting)
        if not fitting:
            message = f"this run has no figure '{name}'; it has {', '.join(every) or 'none'}"
            problems.append(Problem(place="--only", message=message))
    if theory and loaded.comparison is not None:
        problems.append(Problem(place="--theory", message="the figures of a comparison show no theory"))
    if view is not None:
        problems += _view_problems(loaded, chosen, view)
    if problems:
        raise ConfigError(problems)
    return chosen


def _every(loaded: Loaded, *, theory: bool, view: Intervals | None) -> Drawings:
    if loaded.comparison_report is not None:
        return comparison_drawings(loaded.comparison_report, view=view)
    if loaded.is_sweep:
        return sweep_drawings(loaded.reports[0], theory=theory, view=view)
    suffixes = file_suffixes([result.experiment.surface.name for result in loaded.results])
    return {
        f"{name}{suffix}": draw
        for report, suffix in zip(loaded.reports, suffixes, strict=True)
        for name, draw in run_drawings(report, theory=theory, view=view).items()
    }


def _view_problems(loaded: Loaded, chosen: Drawings, view: Intervals) -> list[Problem]:
    if not any(name.startswith("trajectory") for name in chosen):
        return [Problem(place="--view", message="is for the paths, and none are drawn")]
    wanted = {1 if result.plan.dimension == 1 else 2 for result in loaded.results}
    if wanted == {len(view)}:
        return []
    ends = "two numbers, low,high" if wanted == {1} else "four numbers, x-low,x-high,y-low,y-high"
    return [Problem(place="--view", message=f"write {ends}")]


def view_of(text: str) -> Intervals:
    """The window that ``-3,3,-1,1`` means: two numbers for each coordinate of the picture.

    Raises
    ------
    ConfigError
        If it means none.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
        intervals = tuple(zip(numbers[::2], numbers[1::2], strict=True))
        if len(intervals) not in (1, 2) or not all(-1e100 < low < high < 1e100 for low, high in intervals):
            raise ValueError
    except ValueError:
        message = f"'{text}' is no window: write low,high of each axis, such as -3,3,-1,1"
        raise ConfigError([Problem(place="--view", message=message)]) from None
    return intervals


def texts_of(loaded: Loaded) -> dict[str, str]:
    """What the pictures carry."""
    folder, provenance = loaded.run.path.name, loaded.provenance
    return stamp(loaded.experiment, loaded.results, folder=folder, kind=loaded.kind, provenance=provenance)
