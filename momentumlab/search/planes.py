"""The trials of a result as one grid per optimizer: axes, cells, the best cell and its neighbourhood.

A plane has an axis for every parameter with several values and for every coordinate of a grid of starts. Other starts
and replicates are not axes: a cell is judged by the median over them.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from momentumlab.experiment import Choice, Experiment, Grid, Objective, Setting, build_surface, method_names
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.parameters import Array
from momentumlab.result import Result, Status
from momentumlab.schedules import Schedule
from momentumlab.search.ranking import SEVERITY, Yardstick, best_cells, finished, middle_of, yardstick_of
from momentumlab.surfaces import SURFACES
from momentumlab.surfaces.base import ONE_OF

NEAR = 0.01
"""A trial has reached a minimum if its final point is within this fraction of the window's diagonal of it."""

Cells = slice | Sequence[int] | NDArray[np.intp]
ALL = slice(None)

PIECE = 2**16
"""Trials from which something is derived at a time. Intermediate arrays of all trials of a large sweep would take
several times the memory of its results."""

MUCH_WORSE = 2.0
"""The neighbourhood of the best cell ends where the result is worse by this factor."""


@dataclass(frozen=True, kw_only=True)
class GridAxis:
    """One dimension of a plane: ``lr``, ``surface.b``, or a coordinate of the start."""

    name: str
    values: tuple[Setting, ...]

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def numbers(self) -> Array | None:
        """The values, if they are distinct numbers."""
        if any(isinstance(value, (bool, str, tuple, Schedule)) for value in self.values):
            return None
        numbers = np.array(self.values, dtype=np.float64)
        return numbers if len(set(self.values)) == len(self.values) else None


@dataclass(frozen=True, kw_only=True)
class Plane:
    """All trials of one optimizer as a grid.

    Attributes
    ----------
    name
        The optimizer, with its settings if it is listed several times.
    axes
        The axes in the order of the plan; the last one varies fastest.
    first
        The number of the first trial.
    starts
        Trials per cell: the starts, unless they are axes, times the replicates.
    yardstick
        The measure of the cells, without what differs between them: see `yardstick_of`.
    minima
        The loss of the known minimum of each surface, ``(surfaces,)``; a single number if all are equal.
    """

    result: Result
    name: str
    choice: Choice
    axes: tuple[GridAxis, ...]
    first: int
    starts: int
    yardstick: Yardstick
    minima: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return tuple(map(len, self.axes))

    @property
    def by_iterations(self) -> bool:
        """Whether the best cell is the one with the fewest iterations, not the one with the lowest loss."""
        return self.yardstick.objective is Objective.ITERATIONS

    @cached_property
    def cells(self) -> int:
        """The number of cells."""
        return math.prod(self.shape)

    @property
    def trials(self) -> slice:
        """The plane's trials in the result."""
        return slice(self.first, self.first + self.cells * self.starts)

    @property
    def final_losses(self) -> Array:
        """Final loss of each trial, ``(cells, starts)``."""
        return self.result.final_losses[self.trials].reshape(self.cells, self.starts)

    @property
    def iterations(self) -> NDArray[np.int32]:
        """Number of updates of each trial, ``(cells, starts)``."""
        return self.result.iterations[self.trials].reshape(self.cells, self.starts)

    @property
    def status_codes(self) -> NDArray[np.int8]:
        """Status code of each trial, ``(cells, starts)``."""
        return self.result.status_codes[self.trials].reshape(self.cells, self.starts)

    @property
    def final_points(self) -> Array:
        """Final point of each trial, ``(cells, starts, dim)``."""
        return self.result.final_points[self.trials].reshape(self.cells, self.starts, -1)

    def pieces(self, cells: slice = ALL) -> Iterator[slice]:
        """Yield consecutive cells in pieces of about `PIECE` trials."""
        first, last, _ = cells.indices(self.cells)
        size = max(1, PIECE // self.starts)
        for begin in range(first, last, size):
            yield slice(begin, min(begin + size, last))

    def yardstick_of(self, cells: Cells) -> Yardstick:
        """Return the measure of some cells, with the start losses and the known minimum of each."""
        numbers = np.arange(*cells.indices(self.cells)) if isinstance(cells, slice) else np.asarray(cells)
        yardstick = self.yardstick
        if len(self.minima) > 1:  # the surface is the first axis
            known = self.minima[numbers * len(self.minima) // self.cells]
            yardstick = replace(yardstick, known=known[:, np.newaxis])
        # Cells that are starts or surfaces have different losses at the start.
        if any(axis.name.startswith("start ") or is_problem(axis.name) for axis in self.axes):
            trials = self.first + numbers[:, np.newaxis] * self.starts + np.arange(self.starts)
            start_losses = self.result.plan.start_losses(trials.ravel())
            yardstick = replace(yardstick, start_losses=start_losses.reshape(trials.shape))
        return yardstick if yardstick.is_known else replace(yardstick, lowest=self._lowest)

    @cached_property
    def _lowest(self) -> Array:
        """The lowest final loss over all cells, ``(starts,)``."""
        lowest = [finished(self.final_losses[piece], self.status_codes[piece]).min(axis=0) for piece in self.pieces()]
        found: Array = np.min(lowest, axis=0)
        return found

    def keys(self, cells: Cells = ALL) -> Array:
        """Return the sort keys of some cells, ``(3, cells)``; see `Yardstick.keys`."""
        arrays = self.final_losses[cells], self.iterations[cells], self.status_codes[cells]
        return self.yardstick_of(cells).keys(*arrays)

    @cached_property
    def best(self) -> int:
        """The best cell."""
        return self._best_of(self.pieces())

    @cached_property
    def best_per_problem(self) -> list[int]:
        """The best cell for each combination of surface parameters, each of which is a different problem."""
        surface_axes = [place for place, axis in enumerate(self.axes) if is_problem(axis.name)]
        if not surface_axes:
            return [self.best]
        cells = np.moveaxis(np.arange(self.cells).reshape(self.shape), surface_axes, range(len(surface_axes)))
        problems = cells.reshape(math.prod(cells.shape[: len(surface_axes)]), -1)
        return [self._best_of(np.array_split(own, -(-self.starts * len(own) // PIECE))) for own in problems]

    def _best_of(self, pieces: Iterable[Cells]) -> int:
        """Return the best of the cells in some pieces; see `best_cell`."""
        best: tuple[float, ...] = (math.inf, math.inf, math.inf)
        tied: list[NDArray[np.intp]] = []
        for piece in pieces:
            numbers = np.arange(piece.start, piece.stop) if isinstance(piece, slice) else np.asarray(piece)
            keys = self.keys(piece)
            equal = best_cells(keys)
            key = tuple(keys[:, equal[0]].tolist())
            if key < best:
                best, tied = key, []
            if key == best:
                tied.append(numbers[equal])
        return middle_of(np.concatenate(tied), all_diverged=best[-1] == 1)

    @property
    def best_result(self) -> float:
        """The objective's value at the best cell; infinite if no cell has one."""
        return float(self.keys([self.best])[0, 0])

    def ranking(self, count: int) -> NDArray[np.intp]:
        """Return the best cells in order."""
        best = np.empty(0, dtype=np.intp)
        for piece in self.pieces():
            # The best so far come first, so equally good cells keep their order.
            some = np.concatenate([best, np.arange(piece.start, piece.stop)])
            keys = self.keys(some)
            # Sort only the cells that can be among the best. Infinite results are ordered by the other keys, so then
            # all of them are needed.
            if count < len(some):
                worst = np.partition(keys[0], count)[count]
                if np.isfinite(worst):
                    some, keys = some[keys[0] <= worst], keys[:, keys[0] <= worst]
            best = some[np.lexsort(keys[::-1])][:count]
        return best

    def setting(self, cell: int) -> dict[str, Setting]:
        """Return the value of each axis in a cell."""
        indices = np.unravel_index(cell, self.shape) if self.axes else ()
        return {axis.name: axis.values[int(index)] for axis, index in zip(self.axes, indices, strict=True)}

    def reach(self) -> Iterator[tuple[GridAxis, Setting, Setting]]:
        """Yield, for each axis, the interval around the best cell in which results are not `MUCH_WORSE`."""
        # A factor is meaningful for iterations and for heights above a known minimum, not for a loss of any sign.
        has_factor = self.by_iterations or self.yardstick.is_known
        limit = MUCH_WORSE * self.best_result
        if not has_factor or not np.isfinite(limit):
            return
        indices = np.unravel_index(self.best, self.shape)
        for number, axis in enumerate(self.axes):
            # Walk from the best cell to either side along this axis, with the others fixed.
            stride = math.prod(self.shape[number + 1 :])
            line = self.best + (np.arange(len(axis)) - indices[number]) * stride
            good = self.keys(line)[0] <= limit
            low = high = int(indices[number])
            while low > 0 and good[low - 1]:
                low -= 1
            while high < len(axis) - 1 and good[high + 1]:
                high += 1
            yield axis, axis.values[low], axis.values[high]

    def stalled(self) -> int:
        """Return the number of trials that converged far from the minimum."""
        count = 0
        for piece in self.pieces():
            losses, codes = self.final_losses[piece], self.status_codes[piece]
            arrived = self.yardstick_of(piece).arrived(losses, codes)
            count += int(((codes == Status.CONVERGED.code) & ~arrived).sum())
        return count

    def basins(self, cells: Cells = ALL) -> NDArray[np.int64]:
        """Return the index of the known minimum within `NEAR` of each final point, else -1, ``(cells, starts)``."""
        experiment = self.result.experiment
        surface = experiment.first_surface
        low, high = np.array(surface.window(experiment.dimension)).T
        near = NEAR * float(np.sqrt(((high - low) ** 2).sum()))
        codes, points = self.status_codes[cells], self.final_points[cells]
        basins = np.full(codes.shape, -1)
        for number, minimum in enumerate(experiment.shared_minima):
            with np.errstate(all="ignore"):
                distances = np.sqrt(((points - np.array(minimum.point)) ** 2).sum(axis=2))
            basins[(distances <= near) & (codes != Status.DIVERGED.code)] = number
        return basins

    def basin_shares(self, cells: slice = ALL) -> Array:
        """Return the share of the trials of consecutive cells that reached each known minimum, ``(minima,)``."""
        length = len(self.result.experiment.shared_minima) + 1
        counts = [np.bincount(1 + self.basins(piece).ravel(), minlength=length) for piece in self.pieces(cells)]
        shares: Array = np.sum(counts, axis=0)[1:] / np.sum(counts)
        return shares

    @cached_property
    def dimensions(self) -> tuple[tuple[str, int], ...]:
        """Name and length of every dimension of `grid`: the axes, then ``start`` and ``replicate`` if repeated."""
        replicates = self.result.experiment.replicates
        repeated = (("start", self.starts // replicates), ("replicate", replicates))
        return (*((axis.name, len(axis)) for axis in self.axes), *(each for each in repeated if each[1] > 1))

    def grid(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values of all trials, ``(cells, starts, …)``, as an array with the plane's `dimensions`."""
        return values.reshape((*(length for _, length in self.dimensions), *values.shape[2:]))

    def coordinates(self) -> dict[str, NDArray[Any]]:
        """Return the values along each dimension; starts and replicates are numbered, and schedules are their text.

        ``start_point`` has the starts themselves, ``(starts, dim)``.
        """
        found: dict[str, NDArray[Any]] = {}
        for axis in self.axes:
            is_plain = not any(isinstance(value, (tuple, Schedule)) for value in axis.values)
            found[axis.name] = np.array(axis.values if is_plain else [str(value) for value in axis.values])
        numbered = {name: length for name, length in self.dimensions if name in ("start", "replicate")}
        found |= {name: np.arange(length) for name, length in numbered.items()}
        if "start" in numbered:
            experiment = self.result.experiment
            found["start_point"] = experiment.starts.array(experiment.first_surface).T
        return found

    def counts(self) -> dict[Status, int]:
        """Return the number of trials that ended in each status."""
        return {status: int(np.count_nonzero(self.status_codes == status.code)) for status in SEVERITY}

    def map(self, values: Array) -> Array:
        """Return values of all cells as an array with a dimension for each axis."""
        return values.reshape(self.shape)

    def median_iterations(self, cells: Cells = ALL) -> Array:
        """Return the lower median of the iterations in some cells, infinite if most trials do not converge."""
        iterations = np.where(self.status_codes[cells] == Status.CONVERGED.code, self.iterations[cells], np.inf)
        return iterations[:, 0] if self.starts == 1 else np.sort(iterations, axis=1)[:, (self.starts - 1) // 2]

    def median_losses(self, cells: Cells = ALL) -> Array:
        """Return the lower median of the final losses in some cells, infinite if most trials diverge."""
        losses = finished(self.final_losses[cells], self.status_codes[cells])
        return losses[:, 0] if self.starts == 1 else np.sort(losses, axis=1)[:, (self.starts - 1) // 2]

    def median_heights(self, cells: Cells = ALL) -> Array:
        """Return the median final losses of some cells, above the minimum if it is known."""
        yardstick = self.yardstick_of(cells)
        return self.median_losses(cells) - (np.ravel(yardstick.known) if yardstick.is_known else 0.0)

    def main_status(self, cells: Cells = ALL) -> NDArray[np.int8]:
        """Return the lower median of the statuses in some cells, as codes in the order of `SEVERITY`."""
        codes = np.array([status.code for status in SEVERITY], dtype=np.int8)
        severities = np.argsort(codes).astype(np.int8)[self.status_codes[cells]]  # a sweep may have 10⁸ trials
        return codes[np.sort(severities, axis=1)[:, (self.starts - 1) // 2]]


def planes(result: Result) -> list[Plane]:
    """Return the planes of all optimizers, in their order."""
    experiment = result.experiment
    objective = Objective.ITERATIONS if experiment.stopping.can_converge else Objective.FINAL_LOSS
    yardstick = yardstick_of(experiment, objective)
    minima = np.array([yardstick.known])
    if len(experiment.surfaces) > 1:
        minima = np.array([_lowest_minimum(name, experiment.dimension) for name in experiment.surfaces])
        # Losses are comparable as heights only if the minimum of every surface is known.
        if np.isnan(minima).any() or (minima == minima[0]).all():
            minima = minima[[np.isnan(minima).argmax()]]
    yardstick = replace(yardstick, known=float(minima[0]))
    start_axes = _start_axes(experiment)
    found: list[Plane] = []
    first = 0
    for name, choice in zip(method_names(experiment), experiment.optimizers, strict=True):
        axes = [*parameter_axes(experiment, choice), *start_axes]
        starts = experiment.replicates if start_axes else experiment.repeats
        plane = Plane(
            result=result,
            name=name,
            choice=choice,
            axes=tuple(axis for axis in axes if len(axis) > 1),
            first=first,
            starts=starts,
            yardstick=yardstick,
            minima=minima,
        )
        found.append(plane)
        first = plane.trials.stop
    return found


def is_problem(axis: str) -> bool:
    """Return whether the values of an axis are different problems: surfaces, or values of a surface parameter."""
    return axis == "surface" or axis.startswith("surface.")


def _lowest_minimum(surface: str, dimension: int) -> float:
    """Return the loss of the known global minimum of a surface; NaN if none is known."""
    minima = build_surface(ONE_OF, {"surface": surface}).minima(dimension)
    return min((point.loss for point in minima if point.kind.is_lowest), default=np.nan)


def best_trials(every: Sequence[Plane], count: int) -> list[int]:
    """Return the numbers of the ``count`` best trials of all planes of a sweep, those of the best cell first."""
    ranked: list[tuple[float, float, int, list[int]]] = []
    for plane in every:
        cells = plane.ranking(count)
        for cell, outcome, height in zip(cells.tolist(), *plane.keys(cells)[:2].tolist(), strict=True):
            first = plane.first + cell * plane.starts
            ranked.append((outcome, height, first, list(range(first, first + plane.starts))))
    return [number for *_, numbers in sorted(ranked) for number in numbers][:count]


def arrays(every: Sequence[Plane]) -> dict[str, NDArray[Any]]:
    """Return all final states as arrays with a dimension for each axis, and the values of the axes.

    With several optimizers, each name is prefixed with the optimizer's and a dot. Starts that are not a grid and
    replicates are further dimensions, ``start`` and ``replicate``; ``axes`` names the dimensions in order.
    """
    found: dict[str, NDArray[Any]] = {}
    for plane, prefix in zip(every, array_prefixes(every[0].result.experiment), strict=True):
        own: dict[str, NDArray[Any]] = {
            "axes": np.array([name for name, _ in plane.dimensions], dtype=str),
            **plane.coordinates(),
            "final_loss": plane.grid(plane.final_losses),
            "iterations": plane.grid(plane.iterations),
            "status": plane.grid(plane.status_codes),
            "final_point": plane.grid(plane.final_points),
        }
        found |= {f"{prefix}{name}": array for name, array in own.items()}
    return found


def array_prefixes(experiment: Experiment) -> list[str]:
    """Return the prefix of each optimizer's names in `arrays`; optimizers of the same name are numbered."""
    names = [choice.name for choice in experiment.optimizers]
    if len(names) == 1:
        return [""]
    return [f"{name}." if names.count(name) == 1 else f"{name}-{number + 1}." for number, name in enumerate(names)]


def is_mapped(experiment: Experiment) -> bool:
    """Return whether a result has an axis: a parameter with several values or a grid of starts."""
    choices = [experiment.surface, *experiment.optimizers]
    return any(choice.combinations > 1 for choice in choices) or bool(_start_axes(experiment))


def parameter_axes(experiment: Experiment, choice: Choice) -> list[GridAxis]:
    """Return the axes of parameters in the order of the plan; those that the lanes of a group share come first."""
    named = [
        *(
            (
                parameter,
                "surface" if experiment.surface.name == ONE_OF else f"surface.{parameter.name}",
                experiment.surface.axes[parameter.name],
            )
            for parameter in SURFACES[experiment.surface.name].parameters()
        ),
        *(
            (parameter, parameter.name, choice.axes[parameter.name])
            for parameter in OPTIMIZERS[choice.name].settings()
            if parameter.name in choice.axes
        ),
    ]
    # A plan has one group per combination of shared values, so these vary slowest. The sort is stable.
    ordered = sorted(named, key=lambda each: not each[2].is_shared(each[0]))
    return [GridAxis(name=name, values=axis.values) for _, name, axis in ordered]


def _start_axes(experiment: Experiment) -> list[GridAxis]:
    """Return the axes of a grid of starts, one per coordinate."""
    if not isinstance(experiment.starts, Grid):
        return []
    window = experiment.first_surface.window(experiment.dimension)
    few = experiment.dimension <= 2
    names = [("x", "y")[i] if few else f"x{i + 1}" for i in range(experiment.dimension)]
    return [
        GridAxis(name=f"start {name}", values=tuple(np.linspace(low, high, count).tolist()))
        for name, (low, high), count in zip(names, window, experiment.starts.counts, strict=True)
    ]
