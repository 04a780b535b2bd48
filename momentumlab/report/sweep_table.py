"""The tables of a sweep: the best cells of each optimizer, the statuses of all trials, and the width of the optimum."""

from collections.abc import Iterator
from dataclasses import replace

from momentumlab.experiment import Setting
from momentumlab.report.columns import final_point_column, status_column
from momentumlab.report.labels import axis_name, digits_apart, exact, point, setup, short
from momentumlab.report.libraries import library_remarks
from momentumlab.report.reports import Report
from momentumlab.report.table import Column, Kind, Table
from momentumlab.result import STATUS_OF_CODE, Status
from momentumlab.search.planes import MUCH_WORSE, GridAxis, Plane

BEST_CELLS = 10
MOST_PROBLEMS = 20


def sweep_tables(report: Report) -> list[Table]:
    """Return one table per optimizer; the first has the common title."""
    first, *others = map(_table, report.planes)
    return [replace(first, title=f"{report.experiment.name}: {setup(report.result.plan)}"), *others]


def _table(plane: Plane) -> Table:
    by = "fewest iterations" if plane.by_iterations else "lowest final loss"
    problems = len(plane.best_per_problem)
    if problems > 1:
        count = f"{MOST_PROBLEMS} of {problems:,} surfaces" if problems > MOST_PROBLEMS else "each surface"
        best = f"the best for {count} by {by}"
    else:
        best = f"the best {min(BEST_CELLS, plane.cells)} by {by}" if plane.cells > 1 else f"by {by}"
    return Table(
        lines=[f"{plane.name}: {_size(plane)}, {best}"], columns=list(_columns(plane)), remarks=list(_remarks(plane))
    )


def _size(plane: Plane) -> str:
    """Return the axes of a plane: ``400 lr × 400 β``."""
    names = ["surfaces" if axis.name == "surface" else axis_name(axis.name) for axis in plane.axes]
    axes = " × ".join(f"{len(axis):,} {name}" for axis, name in zip(plane.axes, names, strict=True)) or "one cell"
    return f"{axes}, each {plane.starts:,} times" if plane.starts > 1 else axes


def _columns(plane: Plane) -> Iterator[Column]:
    problems = plane.best_per_problem
    cells = problems[:MOST_PROBLEMS] if len(problems) > 1 else plane.ranking(BEST_CELLS).tolist()
    losses, medians = plane.median_losses(cells), plane.median_iterations(cells)
    statuses = [STATUS_OF_CODE[int(code)] for code in plane.main_status(cells)]
    for axis in plane.axes:
        digits = digits_apart(axis.values)
        values = [short(plane.setting(cell)[axis.name], digits) for cell in cells]
        yield Column(heading=axis_name(axis.name), cells=values, kind=Kind.VALUES)
    iterations = [
        median if status is Status.CONVERGED else plane.iterations[cell].max()
        for cell, median, status in zip(cells, medians, statuses, strict=True)
    ]
    yield Column(heading="iterations", cells=[f"{int(each)}" for each in iterations])
    yield Column(heading="final loss", cells=[f"{loss:.5g}" for loss in losses])
    if plane.starts == 1:
        yield final_point_column(plane.final_points[cell, 0] for cell in cells)
    yield status_column([{status: 1} for status in statuses])


def _remarks(plane: Plane) -> Iterator[str]:
    counts = plane.counts()
    trials = sum(counts.values())
    ends = [f"{count:,} {status.label} ({percentage(count, trials)})" for status, count in counts.items() if count]
    stalled = plane.stalled() if plane.by_iterations else 0
    yield ", ".join(ends) + (f"; {stalled:,} of the converged stalled far from the minimum" if stalled else "")
    minima = plane.result.experiment.shared_minima
    if len(minima) > 1:
        shares = zip(minima, plane.basin_shares(), strict=True)
        yield f"minima reached: {', '.join(f'{point(minimum.point)} {share:.1%}' for minimum, share in shares)}"
    best = plane.setting(plane.best)
    digits = {axis.name: digits_apart(axis.values) for axis in plane.axes}
    is_one_problem = len(plane.best_per_problem) == 1
    if any(short(value, digits[axis.name]) != exact(value) for axis in plane.axes for value in axis.values):
        settings = ", ".join(f"{axis_name(name)} = {exact(value)}" for name, value in best.items())
        exactly = f"the best cell is exactly {settings}" if is_one_problem else "JSON and CSV have all digits"
        yield f"settings are rounded; {exactly}"
    yield from library_remarks(plane.result.experiment)
    reach = [_reach(plane, *each) for each in plane.reach() if not each[0].name.startswith("start ")]
    if reach and is_one_problem:
        worse = "iterations" if plane.by_iterations else "loss above the minimum"
        yield f"{worse} at most {MUCH_WORSE:g} times that of the best cell: {'; '.join(reach)}"


def percentage(count: int, total: int) -> str:
    """Return a percentage that is 100 only for all: ``99.97%`` for 39,989 of 40,000."""
    digits = 1
    while 0 < count < total and digits < 9 and float(f"{100 * count / total:.{digits}f}") in (0, 100):
        digits += 1
    return f"{100 * count / total:.{digits}f}%"


def _reach(plane: Plane, axis: GridAxis, low: Setting, high: Setting) -> str:
    """Return the range of good values of an axis: ``lr from 0.02 to 0.1 (÷ 2.5, × 2)``."""
    digits = digits_apart(axis.values)
    if low == high:
        return f"{axis_name(axis.name)} only at {short(low, digits)}"
    text = f"{axis_name(axis.name)} from {short(low, digits)} to {short(high, digits)}"
    best = plane.setting(plane.best)[axis.name]
    numbers = [value for value in (low, best, high) if isinstance(value, float) and value > 0]
    if len(numbers) == len((low, best, high)):
        text += f" (÷ {numbers[1] / numbers[0]:.3g}, × {numbers[2] / numbers[1]:.3g})"
    return text
