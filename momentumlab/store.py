"""Run folders: the only module that writes files.

Every file is written under another name and then renamed, so that no reader sees half of it. A folder has a
``partial.json`` from its beginning on, which a process keeps locked as long as it works there. When all else is on the
disk, ``result.json`` comes, and makes the folder complete; then ``partial.json`` goes.
"""

import functools
import json
import os
import platform
import re
import shutil
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from momentumlab import __version__, files
from momentumlab.config import load_experiment
from momentumlab.config.dump import to_dict, to_yaml
from momentumlab.engine import Outcome
from momentumlab.errors import ConfigError, OutputError, PluginWarning
from momentumlab.experiment import Experiment
from momentumlab.plugins import blame, described, loaded_plugins
from momentumlab.report.data import csv_text, json_document
from momentumlab.result import Result, Status
from momentumlab.sweep import arrays, best_trials, planes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from momentumlab.comparison import ComparisonResult

NAME_BYTES = 100
PARTIAL = "partial.json"
"""The file that says of a run folder without ``result.json`` that it is not complete, and who works on it."""

PARTIAL_BYTES = 20_000_000
"""The largest ``partial.json`` that is read."""

BLOCK_ARRAYS = ("points", "losses", "iterations", "codes")

BEST_ROWS = 1000
"""The rows of a sweep that tables for programs have, unless all are asked for."""

PNG_COMPRESSION = 3
"""zlib's level: half the time of the default 6 for files a fifth larger."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What else there is to know about a run: how, when, and with what it was made; ``seconds`` of computing alone."""

    command_line: str | None
    started: datetime
    seconds: float

    def as_dict(self) -> dict[str, object]:
        """As ``result.json`` has it."""
        plugins = [{"file": str(plugin.path), "sha256": plugin.sha256} for plugin in loaded_plugins()]
        return {
            "momentumlab": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "platform": platform.platform(),
            "command_line": self.command_line,
            "started": self.started.astimezone().isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 6),
            **({"plugins": plugins} if plugins else {}),
        }


def prepare(out: Path) -> None:
    """Make sure that run folders can be made in ``out`` before anything is computed.

    Raises
    ------
    OutputError
        If ``out`` cannot be made, or nothing can be written into it.
    """
    with _output_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        if not os.access(out, os.W_OK | os.X_OK):
            raise PermissionError(None, "permission denied", str(out))


def write_run(result: Result, out: Path, provenance: Provenance, *, plots: bool = True, theory: bool = False) -> Result:
    """Write a result into a run folder of its own; with ``theory``, its curves show what was predicted.

    Returns
    -------
    Result
        The same, knowing its run folder.

    Raises
    ------
    OutputError
        If something cannot be written. What was written before remains.
    """
    with _output_errors(out):
        folder = make_folder(out, result.experiment.name, provenance.started)
    result = result.written_to(folder)
    with _output_errors(folder), _unfinished(folder):
        files.write_text(folder / "experiment.yaml", to_yaml(result.experiment))
        files.write_text(folder / "summary.csv", csv_text([result]))
        if result.history is not None:
            files.write(folder / "trajectories.npz", functools.partial(_save_history, result))
        if plots and result.history is not None:
            training = {} if result.experiment.first_surface.is_formula else {"training": result.plot_training}
            _write_figures(
                folder,
                {
                    **training,
                    "trajectory": result.plot_trajectories,
                    "velocity": functools.partial(result.plot_velocities, theory=theory),
                    "loss": functools.partial(result.plot_losses, theory=theory),
                },
            )
        settings = to_dict(result.experiment)
        document = json_document(result, settings=settings, provenance=provenance.as_dict(), notes=list(result.notes))
        _complete(folder, document)
    return result


def begin_sweep(experiment: Experiment, out: Path, started: datetime, block_trials: int) -> Path:
    """Make the run folder of a sweep, which says that it is partial until the sweep is finished.

    Raises
    ------
    OutputError
        If something cannot be written.
    """
    with _output_errors(out):
        folder = make_folder(out, experiment.name, started)
    with _output_errors(folder):
        partial = {"complete": False, "block_trials": block_trials, "experiment": to_dict(experiment)}
        files.write_text(folder / PARTIAL, json.dumps(partial) + "\n")
        files.write_text(folder / "experiment.yaml", to_yaml(experiment))
        _blocks(folder).mkdir()
    return folder


def save_block(folder: Path, outcome: Outcome) -> None:
    """Keep the trials of one block until the sweep is finished.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with _output_errors(folder):
        _blocks(folder).mkdir(exist_ok=True)
        files.write(
            _blocks(folder) / f"{outcome.first}.npz",
            lambda file: np.savez(
                file,
                **{name: getattr(outcome, name) for name in BLOCK_ARRAYS},
            ),
        )


@dataclass(frozen=True, kw_only=True)
class Partial:
    """What an unfinished sweep left: the experiment, and how many trials a block has."""

    experiment: Experiment
    block_trials: int


def read_partial(folder: Path) -> Partial:
    """What the run folder of an unfinished sweep says of it.

    Raises
    ------
    OutputError
        If the folder is not that of an unfinished sweep, or cannot be read.
    """
    from momentumlab.workers import LARGEST_BLOCK

    if not folder.exists():
        raise OutputError(f"{folder}: there is no such folder")
    if (folder / "result.json").exists():
        raise OutputError(f"{folder}: is complete")
    try:
        partial = json.loads(_small_text(folder / PARTIAL))
        if isinstance(partial, dict) and "experiment" not in partial and partial.get("complete") is False:
            raise OutputError(f"{folder}: is what an interrupted run left, not an unfinished sweep; run it again")
        experiment = load_experiment(partial["experiment"])
        block_trials = partial["block_trials"]
        if type(block_trials) is not int or not 0 < block_trials <= LARGEST_BLOCK:
            raise ValueError(f"block_trials is not a whole number from 1 to {LARGEST_BLOCK}")
    except FileNotFoundError:
        raise OutputError(f"{folder}: is not the folder of an unfinished sweep") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError, ConfigError) as error:
        reason = "; ".join(str(error).splitlines()) or "nested too deep"
        raise OutputError(f"{folder / PARTIAL}: cannot be read ({reason})") from error
    return Partial(experiment=experiment, block_trials=block_trials)


def _small_text(path: Path) -> str:
    """The text of a file that has no reason to be large.

    Raises
    ------
    ValueError
        If it is large, or no text.
    """
    with path.open("rb") as file:
        content = file.read(PARTIAL_BYTES + 1)
    if len(content) > PARTIAL_BYTES:
        raise ValueError(f"larger than {PARTIAL_BYTES:,} bytes")
    return content.decode()


def read_blocks(folder: Path, partial: Partial) -> dict[int, Outcome]:
    """The blocks of an unfinished sweep that are there, by first trial; damaged ones are as good as none."""
    experiment, size = partial.experiment, partial.block_trials
    names = [path.name for path in _blocks(folder).glob("*.npz")] if _blocks(folder).is_dir() else []
    firsts = sorted(int(match[1]) for name in names if (match := re.fullmatch(r"([0-9]{1,15})\.npz", name)))
    outcomes = (
        _read_block(_blocks(folder) / f"{first}.npz", first, min(size, experiment.trials - first), experiment)
        for first in firsts
        if first < experiment.trials and first % size == 0
    )
    return {outcome.first: outcome for outcome in outcomes if outcome is not None}


def _read_block(path: Path, first: int, trials: int, experiment: Experiment) -> Outcome | None:
    """A block; ``None`` if there is none, or it is damaged or not what it should be."""
    outcome = Outcome(first, trials, experiment.dimension)
    try:
        with zipfile.ZipFile(path) as archive:
            for name in BLOCK_ARRAYS:
                with archive.open(f"{name}.npy") as file:
                    getattr(outcome, name)[:] = _read_array(file, like=getattr(outcome, name))
    except Exception:  # of a damaged file zipfile and NumPy complain in a dozen ways
        return None
    is_known = np.isin(outcome.codes, [status.code for status in Status]).all()
    return outcome if is_known else None


def _read_array(file: IO[bytes], *, like: NDArray[Any]) -> NDArray[Any]:
    """An array of a known shape and type; nothing is allocated before the file has said that it has no other.

    Raises
    ------
    ValueError
        If it has.
    """
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("another version of the format")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if (shape, is_fortran, dtype) != (like.shape, False, like.dtype):
        raise ValueError("another shape or type")
    content = file.read(like.nbytes + 1)  # at the end of the entry its checksum is looked at
    if len(content) != like.nbytes:
        raise ValueError("another length")
    return np.frombuffer(content, dtype).reshape(shape)


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """The time in which this process alone works on a sweep's folder.

    Raises
    ------
    OutputError
        If another process does.
    """
    try:
        import fcntl
    except ImportError:  # no such locks here
        yield
        return
    with _output_errors(folder):
        file = (folder / PARTIAL).open("rb")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise OutputError(f"{folder}: another process is at work on it") from None
        yield


def write_sweep(
    result: Result,
    folder: Path,
    provenance: Provenance,
    *,
    recorded: Result | None = None,
    plots: bool = True,
    all_rows: bool = False,
    theory: bool = False,
) -> Result:
    """Finish the run folder of a sweep.

    Parameters
    ----------
    result
        All trials.
    folder
        What `begin_sweep` made.
    provenance
        How it was made.
    recorded
        The paths of some of the trials, if they were kept.
    plots
        Whether to draw the figures.
    all_rows
        Whether ``summary.csv`` has all trials, not the best `BEST_ROWS` alone.
    theory
        Whether the maps show what theory says, too.

    Raises
    ------
    OutputError
        If something cannot be written; the sweep can still be resumed, then.
    """
    result = result.written_to(folder)
    every = planes(result)
    best = best_trials(every, BEST_ROWS)
    with _output_errors(folder):
        if not (folder / "experiment.yaml").exists():  # killed in its first moments
            files.write_text(folder / "experiment.yaml", to_yaml(result.experiment))
        every_array: dict[str, Any] = arrays(every)
        files.write(folder / "sweep.npz", lambda file: np.savez(file, **every_array))
        files.write_text(folder / "summary.csv", csv_text([result], None if all_rows else best))
        if recorded is not None:
            files.write(folder / "trajectories.npz", functools.partial(_save_history, recorded))
        if plots:
            from momentumlab.report.figures.maps import map_figures

            paths = {} if recorded is None else {"trajectory": recorded.plot_trajectories}
            _write_figures(folder, {**map_figures(every, theory=theory), **paths})
        document = json_document(
            result,
            numbers=best,
            settings=to_dict(result.experiment),
            provenance=provenance.as_dict(),
            notes=list(result.notes),
        )
        _complete(folder, {**document, "trials_in_all": result.trials})
        shutil.rmtree(_blocks(folder), ignore_errors=True)
    return result


def _blocks(folder: Path) -> Path:
    return folder / "blocks"


def write_comparison(
    result: "ComparisonResult", out: Path, provenance: Provenance, *, plots: bool = True
) -> "ComparisonResult":
    """Write a comparison into a run folder of its own; return and errors as those of `write_run`.

    Where it has several surfaces, the names of their files end in the surface's.
    """
    from momentumlab.report import contest_data

    with _output_errors(out):
        folder = make_folder(out, result.comparison.name, provenance.started)
    result = result.written_to(folder)
    with _output_errors(folder), _unfinished(folder):
        files.write_text(folder / "experiment.yaml", to_yaml(result.comparison))
        files.write_text(folder / "ranking.csv", contest_data.ranking_csv_text([result]))
        files.write_text(folder / "tuning.csv", contest_data.tuning_csv_text(result))
        files.write_text(folder / "summary.csv", csv_text(result.results))
        for ending, each in zip(_endings(result), result.results, strict=True):
            files.write_text(folder / f"best{ending}.yaml", to_yaml(each.experiment))
            files.write(folder / f"trajectories{ending}.npz", functools.partial(_save_history, each))
        if plots:
            _write_figures(folder, _comparison_figures(result))
        settings = to_dict(result.comparison)
        document = contest_data.json_document(
            result, settings=settings, provenance=provenance.as_dict(), notes=list(result.notes)
        )
        _complete(folder, document)
    return result


def _endings(result: "ComparisonResult") -> list[str]:
    """What the names of the files of each surface end in: nothing where there is one alone."""
    if len(result.matches) == 1:
        return [""]
    names = [re.sub(r"\W+", "-", match.experiment.surface.name).strip("-")[:40] for match in result.matches]
    return [f"-{name}" if names.count(name) == 1 else f"-{name}-{i + 1}" for i, name in enumerate(names)]


def _comparison_figures(result: "ComparisonResult") -> dict[str, Callable[[], "Figure"]]:
    """Every figure that a comparison has, by the name of its file."""
    figures: dict[str, Callable[[], Figure]] = {}
    for i, ending in enumerate(_endings(result)):
        figures[f"trajectory{ending}"] = functools.partial(result.plot_trajectories, i)
        figures[f"velocity{ending}"] = functools.partial(result.plot_velocities, i)
        figures[f"loss{ending}"] = functools.partial(result.plot_losses, i)
    if result.searched_planes:
        figures["search"] = result.plot_search
    if result.searched_rates:
        figures["sensitivity"] = result.plot_sensitivity
    if result.costs.shape[1] > 1:
        figures["profiles"] = result.plot_profiles
    return figures


def write_new_files(texts: Mapping[Path, str], *, force: bool = False) -> None:
    """Write text files that are not there yet: all of them, or none.

    Raises
    ------
    OutputError
        If one is there (unless forced), or cannot be written.
    """
    for path in texts:
        with _output_errors(path):
            if path.exists() and not force:
                raise FileExistsError(None, "is there already; --force writes it anew", str(path))
    for path, text in texts.items():
        with _output_errors(path):
            files.write_text(path, text)


def write_figure(path: Path, figure: "Figure") -> None:
    """Write one figure as PNG.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with _output_errors(path):
        files.write(path, lambda file: _save_figure(figure, file))


def make_folder(out: Path, name: str, when: datetime) -> Path:
    """A new folder ``<YYYYMMDD-HHMMSS>-<name>``, with ``-2``, ``-3`` … where that is taken: making it claims it."""
    base = f"{when:%Y%m%d-%H%M%S}-{file_name(name)}"
    folder, number = out / base, 1
    while True:
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
            folder = out / f"{base}-{number}"
        else:
            return folder


def file_name(name: str) -> str:
    """The name of an experiment without what some file system refuses: letters, digits and ``._-``, not too long."""
    safe = re.sub(r"[^\w.-]+", "_", name).strip("._") or "experiment"
    return safe.encode()[:NAME_BYTES].decode(errors="ignore")


def _write_figures(folder: Path, figures: Mapping[str, Callable[[], "Figure"]]) -> None:
    for name, draw in figures.items():
        try:
            figure = draw()
        except Exception as error:
            where = blame(error)
            if where is None:
                raise
            message = f"{name}.png is left out: {where}: {described(error)}"
            warnings.warn(message, PluginWarning, stacklevel=2)
            continue
        files.write(folder / f"{name}.png", functools.partial(_save_figure, figure))


@contextmanager
def _unfinished(folder: Path) -> Iterator[None]:
    """The time in which a run folder that is written in one go says that it is not complete."""
    files.write_text(folder / PARTIAL, '{"complete": false}\n')
    with only_one(folder):
        yield


def _complete(folder: Path, document: dict[str, Any]) -> None:
    """Write ``result.json``, once all else is on the disk."""
    files.settle(folder)
    text = json.dumps(document, allow_nan=False, ensure_ascii=False) + "\n"
    files.write_text(folder / "result.json", text, settled=True)
    files.settle_names(folder)
    files.settle_names(folder.parent)
    (folder / PARTIAL).unlink()


def _save_figure(figure: "Figure", file: BinaryIO) -> None:
    with np.errstate(all="ignore"):
        figure.savefig(file, format="png", pil_kwargs={"compress_level": PNG_COMPRESSION})


def _save_history(result: Result, file: BinaryIO) -> None:
    np.savez(
        file,
        positions=result.positions,
        velocities=result.velocities,
        losses=result.losses,
        iterations=result.iterations,
    )


@contextmanager
def _output_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) and "null byte" not in str(error):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        if isinstance(error, FileExistsError) and error.errno is not None:
            reason = "there is a file in the way"
        named = str(getattr(error, "filename", None) or path)
        place = str(path) if named.endswith(".part") else named
        raise OutputError(f"{place}: {reason[:1].lower()}{reason[1:]}") from error
