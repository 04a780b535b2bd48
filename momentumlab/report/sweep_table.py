"""A sweep for people: the best cells of each plane, how all ended, and how far the best reaches."""

from collections.abc import Iterator

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from momentumlab.experiment import Setting
from momentumlab.report.labels import axis_name, point, setup, short
from momentumlab.report.reports import Report
from momentumlab.report.result_table import STATUS_STYLES
from momentumlab.result import STATUS_OF_CODE, Status
from momentumlab.search.planes import MUCH_WORSE, GridAxis, Plane

BEST_CELLS = 10


def sweep_tables(report: Report) -> RenderableType:
    """A table of the best cells for each optimizer, and what there is to say of all."""
    result = report.result
    parts: list[RenderableType] = [Text(f"{result.experiment.name}: {setup(result.plan)}", style="bold")]
    for plane in report.planes:
        parts += [Text(f"{plane.name}: {size(plane)}, {_best_of(plane)}"), _table(plane)]
        parts += [Text(line, style="dim") for line in remarks(plane)]
    return Group(*parts)


def size(plane: Plane) -> str:
    """The axes of a plane: ``400 lr × 400 β``."""
    axes = " × ".join(f"{len(axis):,} {axis_name(axis.name)}" for axis in plane.axes) or "one cell"
    return f"{axes}, each {plane.starts:,} times" if plane.starts > 1 else axes


def _best_of(plane: Plane) -> str:
    shown = min(BEST_CELLS, plane.cells)
    by = "fewest iterations" if plane.by_iterations else "lowest final loss"
    return f"the best {shown} by {by}" if plane.cells > 1 else f"by {by}"


def _table(plane: Plane) -> Table:
    table = Table(box=None, pad_edge=False)
    for axis in plane.axes:
        table.add_column(Text(axis_name(axis.name)), justify="right")
    for heading in ("iterations", "final loss"):
        table.add_column(Text(heading), justify="right")
    has_point = plane.starts == 1
    if has_point:
        table.add_column(Text("final point"), overflow="fold")
    table.add_column(Text("status"))
    iterations, losses, codes = plane.median_iterations(), plane.median_losses(), plane.main_status()
    for cell in plane.ranking(BEST_CELLS).tolist():
        status = STATUS_OF_CODE[int(codes[cell])]
        made = iterations[cell] if status is Status.CONVERGED else plane.iterations[cell].max()
        table.add_row(
            *(Text(_value(value)) for value in plane.setting(cell).values()),
            Text(f"{int(made)}"),
            Text(f"{losses[cell]:.5g}"),
            *([Text(point(plane.final_points[cell, 0]))] if has_point else []),
            Text(status.label, style=STATUS_STYLES[status]),
        )
    return table


def remarks(plane: Plane) -> Iterator[str]:
    """How all trials of a plane ended, and how far one may move from its best cell."""
    counts = plane.counts()
    trials = sum(counts.values())
    ends = [f"{count:,} {status.label} ({count / trials:.1%})" for status, count in counts.items() if count]
    stalled = plane.stalled() if plane.by_iterations else 0
    told = f"; {stalled:,} of the converged have stalled, far from the minimum" if stalled else ""
    yield ", ".join(ends) + told
    minima = plane.result.experiment.shared_minima
    if len(minima) > 1:
        basins = plane.basins()
        shares = [f"{point(minimum.point)} {np.mean(basins == i):.1%}" for i, minimum in enumerate(minima)]
        yield f"minima reached: {', '.join(shares)}"
    reach = [_reach(plane, *each) for each in plane.reach() if not each[0].name.startswith("start ")]
    if reach:
        worse = "iterations" if plane.by_iterations else "height above the minimum"
        yield f"from the best cell, within {MUCH_WORSE:g} times its {worse}: {'; '.join(reach)}"


def _reach(plane: Plane, axis: GridAxis, low: Setting, high: Setting) -> str:
    """``lr from 0.02 to 0.1 (÷ 2.5, × 2)``."""
    text = f"{axis_name(axis.name)} from {short(low)} to {short(high)}"
    best = plane.setting(plane.best)[axis.name]
    numbers = [value for value in (low, best, high) if isinstance(value, float) and value > 0]
    if len(numbers) == len((low, best, high)):
        text += f" (÷ {numbers[1] / numbers[0]:.3g}, × {numbers[2] / numbers[1]:.3g})"
    return text


def _value(value: Setting) -> str:
    return f"{value:.6g}" if isinstance(value, float) else short(value)
