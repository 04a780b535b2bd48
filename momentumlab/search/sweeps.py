"""Sweeps as grids with named axes, for Python, xarray and pandas."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import NDArray

from momentumlab.errors import MomentumLabError
from momentumlab.parameters import Array
from momentumlab.result import STATUS_OF_CODE, Result, ShownAsTables
from momentumlab.search.planes import Plane, array_prefixes, planes

if TYPE_CHECKING:
    import os

    from matplotlib.figure import Figure

    from momentumlab.report.figure_options import FigureSettings
    from momentumlab.report.page import Page
    from momentumlab.report.table import Table


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Sweep(ShownAsTables):
    """All trials of a sweep as grids with one dimension per axis, in the order of `axes`.

    With several optimizers, choose one by its name for the axes and grids: ``sweep["adam"].final_loss``. Starts that
    are not a grid and replicates are the last dimensions, ``start`` and ``replicate``.

    Attributes
    ----------
    result
        All trials, in the order of the plan.
    planes
        The trials by optimizer, by name; several entries of the same optimizer are numbered, ``adam-1``.
    """

    result: Result
    planes: Mapping[str, Plane]

    @classmethod
    def of(cls, result: Result) -> "Sweep":
        """Return the sweep of a result."""
        every = planes(result)
        prefixes = array_prefixes(result.experiment)
        names = [prefix.removesuffix(".") or every[0].choice.name for prefix in prefixes]
        return cls(result=result, planes=dict(zip(names, every, strict=True)))

    @property
    def optimizers(self) -> tuple[str, ...]:
        """The names of the optimizers."""
        return tuple(self.planes)

    def __getitem__(self, optimizer: str) -> "Sweep":
        if optimizer not in self.planes:
            raise KeyError(f"no optimizer '{optimizer}' in this sweep of {', '.join(self.planes)}")
        return Sweep(result=self.result, planes={optimizer: self.planes[optimizer]})

    @property
    def _plane(self) -> Plane:
        if len(self.planes) > 1:
            names = list(self.planes)
            message = f"this sweep has several optimizers ({', '.join(names)}): choose one, sweep[{names[0]!r}]"
            raise MomentumLabError(message)
        return next(iter(self.planes.values()))

    @cached_property
    def axes(self) -> dict[str, NDArray[Any]]:
        """The values along each dimension of the grids, by name; for starts the points, ``(starts, dim)``."""
        plane = self._plane
        own = plane.coordinates()
        return {name: own["start_point" if name == "start" else name] for name, _ in plane.dimensions}

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return tuple(length for _, length in self._plane.dimensions)

    @property
    def final_loss(self) -> Array:
        """Final loss of each trial, with the shape of the axes."""
        return self._plane.grid(self._plane.final_losses)

    @property
    def iterations(self) -> NDArray[np.int32]:
        """Number of updates of each trial, with the shape of the axes."""
        return self._plane.grid(self._plane.iterations)

    @property
    def status(self) -> NDArray[np.str_]:
        """Status of each trial, such as ``"converged"``, with the shape of the axes."""
        labels = np.array([STATUS_OF_CODE[code].label for code in sorted(STATUS_OF_CODE)])
        statuses: NDArray[np.str_] = labels[self._plane.grid(self._plane.status_codes)]
        return statuses

    @property
    def final_point(self) -> Array:
        """Final point of each trial, with the shape of the axes and a last dimension for the coordinates."""
        return self._plane.grid(self._plane.final_points)

    @property
    def best_trials(self) -> Result | None:
        """The best trials with their trajectories, if they were recorded, as with ``record="best:3"``."""
        return self.result.best_trials

    def best(self) -> dict[str, Any]:
        """Return the best cell: optimizer, axis values, and the medians of its final losses and iterations.

        The best cell has the fewest iterations to convergence if a tolerance or a target loss is set, else the lowest
        final loss. If several cells are equally good, the middle one is returned.

        Raises
        ------
        MomentumLabError
            If surface parameters have several values; each is a different problem, see `best_settings`.
        """
        settings = self.best_settings()
        if len(settings) > 1:
            message = "surface parameters have several values, each with its own best cell: use best_settings()"
            raise MomentumLabError(message)
        return settings[0]

    def best_settings(self) -> list[dict[str, Any]]:
        """Return what `best` returns for each combination of surface parameters, in their order."""
        best = []
        for cells in zip(*(plane.best_per_problem for plane in self.planes.values()), strict=True):
            # The optimizer with the best cell.
            every = zip(self.planes.items(), cells, strict=True)
            (name, plane), cell = min(every, key=lambda each: tuple(each[0][1].keys([each[1]])[:, 0].tolist()))
            best.append(
                {
                    "optimizer": name,
                    **plane.setting(cell),
                    "final_loss": float(plane.median_losses([cell])[0]),
                    "iterations": float(np.median(plane.iterations[cell])),
                    "status": STATUS_OF_CODE[int(plane.main_status([cell])[0])].label,
                }
            )
        return best

    def plot_map(self, *, ax: Any = None, **options: Unpack["FigureSettings"]) -> "Figure":
        """Draw maps of all optimizers of the result, or curves over a single axis.

        A map shows the iterations to convergence if a tolerance or target is set, else the final loss.
        """
        from momentumlab.report import report_of
        from momentumlab.report.figures import FigureOptions, map_figures

        figures = map_figures(report_of(self.result), FigureOptions(**options), ax=ax)
        for name in ("map_iterations", "map_loss", "curve"):
            if name in figures:
                return figures[name]()
        raise MomentumLabError("a map needs an axis: give a parameter several values, such as lr=[0.01, 0.1]")

    def save_page(self, path: "str | os.PathLike[str]") -> "Page":
        """Write the interactive page of the experiment as one HTML file, and return it; see `momentumlab.explore`."""
        return self.result.save_page(path)

    def to_xarray(self) -> Any:
        """Return an `xarray.Dataset` with final_loss, iterations, status and final_point over the axes.

        Starts and replicates are numbered; the coordinate ``start_point`` has the starts themselves.

        Raises
        ------
        ImportError
            If xarray is not installed.
        """
        xarray = _optional("xarray", "to_xarray()")
        names = [name for name, _ in self._plane.dimensions]
        coordinates: dict[str, Any] = self._plane.coordinates()
        if "start_point" in coordinates:
            coordinates["start_point"] = (["start", "coordinate"], coordinates["start_point"])
        coordinates = {name: values for name, values in coordinates.items() if name in (*names, "start_point")}
        variables = {
            "final_loss": (names, self.final_loss),
            "iterations": (names, self.iterations),
            "status": (names, self.status),
            "final_point": ([*names, "coordinate"], self.final_point),
        }
        return xarray.Dataset(variables, coords=coordinates, attrs={"optimizer": self.optimizers[0]})

    def to_dataframe(self) -> Any:
        """Return a `pandas.DataFrame` with a row per trial: optimizer, axes, final_loss, iterations, status.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pandas = _optional("pandas", "to_dataframe()")
        return pandas.concat([pandas.DataFrame(self[name]._columns()) for name in self.planes], ignore_index=True)

    def _columns(self) -> dict[str, Any]:
        """Return the columns of the trials of one optimizer."""
        indices = np.indices(self.shape).reshape(len(self.shape), -1)
        own = {
            name: values[index] if values.ndim == 1 else list(map(tuple, values[index].tolist()))
            for (name, values), index in zip(self.axes.items(), indices, strict=True)
        }
        return {
            "optimizer": [self.optimizers[0]] * self.final_loss.size,
            **own,
            "final_loss": self.final_loss.ravel(),
            "iterations": self.iterations.ravel(),
            "status": self.status.ravel(),
        }

    def __repr__(self) -> str:
        parts = []
        for name, plane in self.planes.items():
            sizes = " × ".join(f"{length} {axis}" for axis, length in plane.dimensions)
            parts.append(f"{name}: {sizes or '1 trial'}")
        return f"<Sweep of {self.result.experiment.name}: {'; '.join(parts)}>"

    def tables(self) -> "list[Table]":
        """Return a table per optimizer."""
        return self.result.tables()


def _optional(package: str, method: str) -> Any:
    """Import a package that momentumlab does not require."""
    try:
        return import_module(package)
    except ImportError:
        raise ImportError(f"{method} needs {package}: pip install {package}") from None
