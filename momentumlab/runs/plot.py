"""Figures of a run folder, drawn again without computing."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from momentumlab.errors import ConfigError, Problem
from momentumlab.report.figure_files import (
    Drawings,
    comparison_drawings,
    run_drawings,
    sweep_drawings,
)
from momentumlab.runs.identity import png_texts
from momentumlab.runs.read import LoadedRun
from momentumlab.surfaces.base import Intervals

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def drawings(
    loaded: LoadedRun, *, only: Sequence[str] = (), theory: bool = False, view: Intervals | None = None
) -> Drawings:
    """Return functions that draw the figures of a run, by the names of their files.

    Parameters
    ----------
    loaded
        Content of the run folder.
    only
        Names of figures; all if empty. ``loss`` stands for that of every surface of a comparison.
    theory
        Whether curves and maps show predictions.
    view
        Window of the trajectories.

    Raises
    ------
    ConfigError
        If the run has no such figure, or an option does not apply to it.
    """
    every = _all_drawings(loaded, theory=theory, view=view)
    problems = []
    chosen: dict[str, Callable[[], Figure]] = {}
    for name in only or every:
        fitting = {each: draw for each, draw in every.items() if each == name or each.startswith(f"{name}-")}
        chosen.update(fitting)
        if not fitting:
            message = f"this run has no figure '{name}'; it has {', '.join(every) or 'none'}"
            problems.append(Problem(place="--only", message=message))
    if theory and loaded.comparison is not None:
        problems.append(Problem(place="--theory", message="does not apply to the figures of a comparison"))
    if view is not None:
        problems += _view_problems(loaded, chosen, view)
    if problems:
        raise ConfigError(problems)
    return chosen


def _all_drawings(loaded: LoadedRun, *, theory: bool, view: Intervals | None) -> Drawings:
    if loaded.comparison_report is not None:
        return comparison_drawings(loaded.comparison_report, view=view)
    draw = sweep_drawings if loaded.is_sweep else run_drawings
    return draw(loaded.reports[0], theory=theory, view=view)


def _view_problems(loaded: LoadedRun, chosen: Drawings, view: Intervals) -> list[Problem]:
    if not any(name.startswith("trajectory") for name in chosen):
        return [Problem(place="--view", message="applies to trajectories, and none is drawn")]
    wanted = {1 if result.plan.dimension == 1 else 2 for result in loaded.results}
    if wanted == {len(view)}:
        return []
    ends = "two numbers, low,high" if wanted == {1} else "four numbers, x-low,x-high,y-low,y-high"
    return [Problem(place="--view", message=f"write {ends}")]


def view_of(text: str) -> Intervals:
    """Return the window that a text such as ``-3,3,-1,1`` means: two numbers per coordinate of the figure.

    Raises
    ------
    ConfigError
        If it is not a window.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
        intervals = tuple(zip(numbers[::2], numbers[1::2], strict=True))
        if len(intervals) not in (1, 2) or not all(-1e100 < low < high < 1e100 for low, high in intervals):
            raise ValueError
    except ValueError:
        message = f"'{text}' is not a window: write low,high of each axis, such as -3,3,-1,1"
        raise ConfigError([Problem(place="--view", message=message)]) from None
    return intervals


def texts_of(loaded: LoadedRun) -> dict[str, str]:
    """Return the texts that the PNG files of a run carry."""
    return png_texts(
        loaded.experiment,
        loaded.results,
        folder=loaded.run.path.name,
        kind=loaded.kind,
        provenance=loaded.provenance,
    )
