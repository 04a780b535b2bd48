"""The result of a run: data without I/O."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import NDArray

from momentumlab.experiment import Experiment
from momentumlab.parameters import Array
from momentumlab.plan import Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from momentumlab.report.figure_options import FigureSettings
    from momentumlab.report.page import Page
    from momentumlab.report.table import Table


class ShownAsTables:
    """Base of results that ``print`` and notebooks show as tables, as the command line does."""

    def tables(self) -> "list[Table]":
        """Return the tables that the command line prints."""
        raise NotImplementedError

    def __str__(self) -> str:
        return "\n\n".join(table.text() for table in self.tables())

    def _repr_html_(self) -> str:
        return "".join(table.html() for table in self.tables())


class Status(Enum):
    """The outcome of a trial, with an explanation."""

    MAX_ITERATIONS = (0, "the maximum number of iterations was reached")
    CONVERGED = (1, "a tolerance or the target loss was met")
    DIVERGED = (2, "a position, loss or gradient exceeded its bound or is not finite")

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        self.message = message

    def __repr__(self) -> str:
        return f"Status.{self.name}"

    @property
    def label(self) -> str:
        """The status as tables and files spell it."""
        return self.name.lower()


STATUS_OF_CODE = {status.code: status for status in Status}


@dataclass(frozen=True, kw_only=True)
class History:
    """The trajectories of all trials.

    Entry j of a trial is its state after ``min(j · stride, iterations)`` updates; later entries are NaN. The stride is
    1 unless the memory does not suffice for every iterate. The last entry that is not NaN is the final state.

    Attributes
    ----------
    positions, velocities
        ``(trials, entries, dim)``; ``positions[:, 0]`` is the start and ``velocities[:, 0]`` is zero.
    losses
        ``(trials, entries)``
    quantities
        The further quantities that `Experiment.record` names, ``(trials, entries, …)``.
    """

    positions: Array
    velocities: Array
    losses: Array
    stride: int
    quantities: Mapping[str, Array] = field(default_factory=dict)

    def iterations(self, length: int) -> NDArray[np.int64]:
        """Return the iteration of each entry of a trial that made ``length`` updates."""
        entries = -(-length // self.stride) + 1
        return np.minimum(np.arange(entries) * self.stride, length)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Result(ShownAsTables):
    """The outcome of every trial of an experiment.

    Attributes
    ----------
    final_points
        ``(trials, dim)``
    final_losses
        ``(trials,)``
    iterations
        Updates made, ``(trials,)``.
    status_codes
        ``Status.code`` of each trial, ``(trials,)``.
    history
        The trajectories, if they were recorded.
    notes
        Remarks on the result, such as the thinning of its trajectories.
    run_folder
        The folder to which it was written, if any.
    best_trials
        The best trials of a sweep with their trajectories, if ``record`` asked for them: ``record="best:3"``.
    """

    plan: Plan
    final_points: Array
    final_losses: Array
    iterations: NDArray[np.int32]
    status_codes: NDArray[np.int8]
    history: History | None
    notes: tuple[str, ...] = ()
    run_folder: Path | None = None
    best_trials: "Result | None" = None

    @property
    def experiment(self) -> Experiment:
        """The experiment that was run."""
        return self.plan.experiment

    @property
    def trials(self) -> int:
        """The number of trials."""
        return self.plan.trials

    @property
    def gradient_evaluations(self) -> NDArray[np.int32]:
        """Gradient evaluations, ``(trials,)``; see `Optimizer.gradients_per_step`.

        A gradient tolerance takes one more, at the last point.
        """
        evaluations: NDArray[np.int32] = self.iterations * self.gradients_per_step
        return evaluations + (self.plan.stopping.gradient_tolerance is not None)

    @property
    def gradients_per_step(self) -> NDArray[np.int32]:
        """Gradient evaluations per iteration, ``(trials,)``."""
        groups = self.plan.groups
        counts = np.array([group.optimizer_class.gradients_per_step for group in groups], dtype=np.int32)
        return np.repeat(counts, [group.size for group in groups])

    @property
    def status(self) -> tuple[Status, ...]:
        """The outcome of each trial."""
        return tuple(STATUS_OF_CODE[code] for code in self.status_codes.tolist())

    def status_of(self, number: int) -> Status:
        """Return the outcome of one trial."""
        return STATUS_OF_CODE[int(self.status_codes[number])]

    @property
    def positions(self) -> Array:
        """The paths, ``(trials, entries, dim)``; see `History`."""
        return self._kept.positions

    @property
    def velocities(self) -> Array:
        """The velocities, ``(trials, entries, dim)``; see `History`."""
        return self._kept.velocities

    @property
    def losses(self) -> Array:
        """The loss after each iteration, ``(trials, entries)``; see `History`."""
        return self._kept.losses

    @property
    def quantities(self) -> Mapping[str, Array]:
        """The recorded quantities by name, ``(trials, entries, …)``: ``result.quantities["gradient_norm"]``.

        Entry k of ``gradient_norm`` is the Euclidean norm of the gradient (without noise) at the point after k updates,
        of ``update_norm`` the length of update k (0 for k = 0), and of ``state.v`` that part of the optimizer's state.
        A part that an optimizer does not have is NaN.
        """
        return self._kept.quantities

    @property
    def _kept(self) -> History:
        if self.history is None:
            raise ValueError('this result was made without its history (record="all" keeps it)')
        return self.history

    def path(self, number: int) -> Array:
        """Return the recorded positions of one trial without the NaN after its end, ``(entries, dim)``."""
        return self.positions[number, : len(self.recorded(number))]

    def recorded(self, number: int) -> NDArray[np.int64]:
        """Return the recorded iterations of one trial."""
        return self._kept.iterations(int(self.iterations[number]))

    def ranking(self) -> NDArray[np.intp]:
        """Return the numbers of all trials, lowest final loss first and diverged trials last."""
        losses = np.where(self.status_codes == Status.DIVERGED.code, np.inf, self.final_losses)
        return np.argsort(losses, kind="stable")

    def summary(self) -> list[dict[str, Any]]:
        """Return a row per trial with the columns of the JSON output; non-finite numbers stay as they are."""
        from momentumlab.report import report_of

        return list(report_of(self, all_rows=True).rows())

    def rows(self, numbers: Iterable[int] | None = None) -> Iterator[dict[str, Any]]:
        """Yield the settings and the outcome of the trials with these numbers, or of all."""
        experiment = self.experiment
        idle = {choice.name: experiment.idle_hyperparameters(choice.name) for choice in experiment.optimizers}
        varies = experiment.surface.combinations > 1 and len(experiment.surfaces) == 1
        evaluations = self.gradient_evaluations
        for trial in self.plan if numbers is None else map(self.plan.trial, numbers):
            number, settings = trial.number, trial.hyperparameters.items()
            yield {
                "surface": trial.own_surface,
                **({"surface_parameters": dict(trial.surface_parameters)} if varies else {}),
                "optimizer": trial.optimizer,
                "hyperparameters": {name: value for name, value in settings if name not in idle[trial.optimizer]},
                "start": list(trial.start),
                "replicate": trial.replicate,
                "iterations": int(self.iterations[number]),
                "gradient_evaluations": int(evaluations[number]),
                "final_point": self.final_points[number].tolist(),
                "final_loss": float(self.final_losses[number]),
                "status": self.status_of(number).label,
            }

    def written_to(self, folder: Path) -> "Result":
        """Return the same result with the path of its run folder."""
        best = None if self.best_trials is None else self.best_trials.written_to(folder)
        return replace(self, run_folder=folder, best_trials=best)

    # Figures and tables belong to the outer package `report`; these aliases for notebooks import it when called.

    def plot_trajectories(self, *, ax: Any = None, **options: Unpack["FigureSettings"]) -> "Figure":
        """Draw the trajectories over the contours of the surface (in one dimension, over its graph).

        ``ax`` are matplotlib axes to draw on: one for all trajectories, or one for each. The options are those of
        `momentumlab.FigureOptions`.
        """
        return self._figure("trajectory_figure", ax, options)

    def plot_velocities(self, *, ax: Any = None, **options: Unpack["FigureSettings"]) -> "Figure":
        """Draw the velocity against the iteration, a panel per coordinate; with ``theory``, the predicted envelope."""
        return self._figure("velocity_figure", ax, options)

    def plot_losses(self, *, ax: Any = None, **options: Unpack["FigureSettings"]) -> "Figure":
        """Draw the loss above the known minimum against the iteration; with ``theory``, the predicted slope."""
        return self._figure("loss_figure", ax, options)

    def plot_quantities(self, *, ax: Any = None, **options: Unpack["FigureSettings"]) -> "Figure":
        """Draw the recorded quantities against the iteration: ``run(record=["gradient_norm", "state.v"])``."""
        from momentumlab.report import report_of
        from momentumlab.report.figures import FigureOptions, quantity_figure

        return quantity_figure(report_of(self), FigureOptions(**options), ax=ax)

    def plot_training(self, *, ax: Any = None, **options: Unpack["FigureSettings"]) -> "Figure":
        """Draw loss and accuracy of a data problem against gradient evaluations and epochs."""
        return self._figure("training_figure", ax, options)

    def _figure(self, name: str, ax: Any, options: "FigureSettings") -> "Figure":
        from momentumlab.report import figures, report_of

        figure: Figure = getattr(figures, name)(report_of(self), figures.FigureOptions(**options), ax=ax)
        return figure

    def save_animation(
        self,
        path: str | os.PathLike[str],
        *,
        fps: float = 20.0,
        hold_last: float = 2.0,
        **options: Unpack["FigureSettings"],
    ) -> Path:
        """Write an animation of all trajectories and losses, and return its path.

        Parameters
        ----------
        path
            The file; it ends in ``.gif``, ``.apng``, ``.png`` or, with ffmpeg, ``.mp4``.
        fps
            Frames per second.
        hold_last
            How long the last frame is shown, in seconds.
        **options
            Those of `momentumlab.FigureOptions`.
        """
        from momentumlab.report import report_of
        from momentumlab.report.figures import FigureOptions
        from momentumlab.runs.write import write_animation

        write_animation(Path(path), report_of(self), FigureOptions(**options), fps=fps, hold_last=hold_last)
        return Path(path)

    def save_page(self, path: "str | os.PathLike[str]") -> "Page":
        """Write the interactive page of this experiment as one HTML file, and return it; see `momentumlab.explore`."""
        from momentumlab.api import explore

        return explore(self.experiment, save=path)

    def __repr__(self) -> str:
        counts = Counter(status.label for status in self.status)
        ends = ", ".join(f"{count} {label}" for label, count in counts.items())
        return f"<Result of {self.experiment.name}: {self.trials} {'trial' if self.trials == 1 else 'trials'} ({ends})>"

    def tables(self) -> "list[Table]":
        """Return a table with a row per trial, or those of a sweep."""
        from momentumlab.report import report_of, result_tables

        return result_tables(report_of(self))
