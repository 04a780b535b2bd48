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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from momentumlab import __version__
from momentumlab.config import load_experiment
from momentumlab.config.dump import to_dict, to_yaml
from momentumlab.engine import Outcome
from momentumlab.errors import ConfigError, OutputError, PluginWarning
from momentumlab.experiment import Comparison, Experiment
from momentumlab.plugins import described, loaded_plugins, raised_at
from momentumlab.report.data import csv_text, json_document
from momentumlab.report.figure_files import (
    Drawings,
    comparison_drawings,
    file_suffixes,
    run_drawings,
    sweep_drawings,
)
from momentumlab.report.reports import ComparisonReport, Report
from momentumlab.result import Result, Status
from momentumlab.runs import files
from momentumlab.runs.header import COMPARISON, RUN, SWEEP, header
from momentumlab.runs.layout import BLOCKS, FORMAT, PARTIAL, RESULT, point_latest
from momentumlab.runs.png_metadata import stamp
from momentumlab.search.planes import arrays

if TYPE_CHECKING:
    from matplotlib.figure import Figure


NAME_BYTES = 100
PARTIAL_BYTES = 20_000_000
"""The largest ``partial.json`` that is read."""

BLOCK_ARRAYS = ("points", "losses", "iterations", "codes")

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


def write_run(report: Report, out: Path, provenance: Provenance, *, plots: bool = True, theory: bool = False) -> Report:
    """Write a report into a new run folder; with ``theory``, its figures show what theory predicts.

    Returns
    -------
    Report
        The same with its run folder.

    Raises
    ------
    OutputError
        If something cannot be written. What was written before remains.
    """
    with _output_errors(out):
        folder = make_folder(out, report.experiment.name, provenance.started)
    report = report.written_to(folder)
    result = report.result
    with _output_errors(folder), _unfinished(folder):
        files.write_text(folder / "experiment.yaml", to_yaml(result.experiment))
        files.write_text(folder / "summary.csv", csv_text([report]))
        if result.history is not None:
            files.write(folder / "trajectories.npz", functools.partial(_save_history, result))
        if plots and result.history is not None:
            texts = _stamp(folder, RUN, result.experiment, [result], provenance)
            _write_figures(folder, run_drawings(report, theory=theory), texts)
        settings = to_dict(result.experiment)
        document = json_document(report, settings=settings, provenance=provenance.as_dict(), notes=list(result.notes))
        recorded = [] if result.history is None else [result]
        head = header(RUN, result.experiment, [result], recorded, started=provenance.started, folder=folder)
        _complete(folder, head, document)
    return report


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
        settings, trials = to_dict(experiment), experiment.trials
        partial = {"complete": False, "block_trials": block_trials, "trials": trials, "experiment": settings}
        files.write_text(folder / PARTIAL, json.dumps(partial) + "\n")
        files.write_text(folder / "experiment.yaml", to_yaml(experiment))
        _blocks(folder).mkdir()
    return folder


def record_plugin_error(folder: Path, message: str) -> None:
    """Note in an unfinished sweep's folder that a plug-in ended it, so that it can be resumed with another version.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with _output_errors(folder):
        partial = json.loads(_small_text(folder / PARTIAL))
        files.write_text(folder / PARTIAL, json.dumps({**partial, "plugin_error": message}) + "\n")


def ended_by_plugin(folder: Path) -> bool:
    """Return whether an error in a plug-in ended the sweep in a folder."""
    try:
        return "plugin_error" in json.loads(_small_text(folder / PARTIAL))
    except (OSError, ValueError, TypeError, RecursionError):
        return False


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
    from momentumlab.executor import LARGEST_BLOCK

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
    report: Report,
    folder: Path,
    provenance: Provenance,
    *,
    plots: bool = True,
    theory: bool = False,
) -> Report:
    """Finish the run folder of a sweep.

    Parameters
    ----------
    report
        The sweep.
    folder
        What `begin_sweep` made.
    provenance
        How it was made.
    plots
        Whether to draw the figures.
    theory
        Whether the maps show what theory says, too.

    Raises
    ------
    OutputError
        If something cannot be written; the sweep can still be resumed, then.
    """
    report = report.written_to(folder)
    result = report.result
    recorded = None if report.recorded is None else report.recorded.result
    with _output_errors(folder):
        if not (folder / "experiment.yaml").exists():  # killed in its first moments
            files.write_text(folder / "experiment.yaml", to_yaml(result.experiment))
        every_array: dict[str, Any] = arrays(report.planes)
        files.write(folder / "sweep.npz", lambda file: np.savez(file, **every_array))
        files.write_text(folder / "summary.csv", csv_text([report]))
        if recorded is not None:
            files.write(folder / "trajectories.npz", functools.partial(_save_history, recorded))
        if plots:
            texts = _stamp(folder, SWEEP, result.experiment, [result], provenance)
            _write_figures(folder, sweep_drawings(report, theory=theory), texts)
        document = json_document(
            report,
            numbers=report.best,
            settings=to_dict(result.experiment),
            provenance=provenance.as_dict(),
            notes=list(result.notes),
        )
        kept = [] if recorded is None else [recorded]
        head = header(SWEEP, result.experiment, [result], kept, started=provenance.started, folder=folder)
        _complete(folder, head, {**document, "trials_in_all": result.trials})
        shutil.rmtree(_blocks(folder), ignore_errors=True)
    return report


def _blocks(folder: Path) -> Path:
    return folder / BLOCKS


def write_comparison(
    report: ComparisonReport, out: Path, provenance: Provenance, *, plots: bool = True
) -> ComparisonReport:
    """Write a comparison into a run folder of its own; return and errors as those of `write_run`.

    Where it has several surfaces, the names of their files end in the surface's.
    """
    from momentumlab.report import comparison_data

    with _output_errors(out):
        folder = make_folder(out, report.result.comparison.name, provenance.started)
    report = report.written_to(folder)
    result = report.result
    with _output_errors(folder), _unfinished(folder):
        files.write_text(folder / "experiment.yaml", to_yaml(result.comparison))
        files.write_text(folder / "ranking.csv", comparison_data.ranking_csv_text([report]))
        files.write_text(folder / "tuning.csv", comparison_data.tuning_csv_text(result))
        files.write_text(folder / "summary.csv", csv_text(report.reports))
        searched: dict[str, Any] = comparison_data.search_arrays(result)
        files.write(folder / "search.npz", lambda file: np.savez(file, **searched))
        suffixes = file_suffixes([each.experiment.surface.name for each in result.results])
        for suffix, each in zip(suffixes, result.results, strict=True):
            files.write_text(folder / f"best{suffix}.yaml", to_yaml(each.experiment))
            files.write(folder / f"trajectories{suffix}.npz", functools.partial(_save_history, each))
        if plots:
            texts = _stamp(folder, COMPARISON, result.comparison, result.results, provenance)
            _write_figures(folder, comparison_drawings(report), texts)
        settings = to_dict(result.comparison)
        document = comparison_data.json_document(
            report, settings=settings, provenance=provenance.as_dict(), notes=list(result.notes)
        )
        results = result.results
        head = header(COMPARISON, result.comparison, results, results, started=provenance.started, folder=folder)
        _complete(folder, head, document)
    return report


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


def write_figures(
    folder: Path, drawings: Drawings, texts: Mapping[str, str], *, kinds: Sequence[str] = ("png",), dpi: int | None
) -> list[Path]:
    """Draw figures into a folder, which is made if it is not there.

    Parameters
    ----------
    folder
        Where to.
    drawings
        The figures by the names of their files.
    texts
        What each PNG carries, by keyword.
    kinds
        ``png``, ``svg``, ``pdf``: each figure is written as all of these.
    dpi
        Dots per inch of a PNG, if they are not the usual ones.

    Returns
    -------
    paths
        What was written.

    Raises
    ------
    OutputError
        If something cannot be written. What was written before remains.
    """
    with _output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        return _write_figures(folder, drawings, texts, kinds=kinds, dpi=dpi)


def write_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file of which another part of the package knows the content.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with _output_errors(path):
        files.write(path, write)


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


@contextmanager
def _unfinished(folder: Path) -> Iterator[None]:
    """The time in which a run folder that is written in one go says that it is not complete."""
    files.write_text(folder / PARTIAL, '{"complete": false}\n')
    with only_one(folder):
        yield


def _complete(folder: Path, head: Mapping[str, Any], document: Mapping[str, Any]) -> None:
    """Write ``result.json``, once all else is on the disk: now the folder is complete."""
    files.settle(folder)
    text = json.dumps({"format": FORMAT, "run": head, **document}, allow_nan=False, ensure_ascii=False) + "\n"
    files.write_text(folder / RESULT, text, settled=True)
    files.settle_names(folder)
    files.settle_names(folder.parent)
    (folder / PARTIAL).unlink()
    point_latest(folder)


def _stamp(
    folder: Path, kind: str, experiment: Experiment | Comparison, results: Sequence[Result], provenance: Provenance
) -> dict[str, str]:
    return stamp(experiment, results, folder=folder.name, kind=kind, provenance=provenance.as_dict())


def _write_figures(
    folder: Path,
    drawings: Drawings,
    texts: Mapping[str, str],
    *,
    kinds: Sequence[str] = ("png",),
    dpi: int | None = None,
) -> list[Path]:
    paths = []
    for name, draw in drawings.items():
        try:
            figure = draw()
        except Exception as error:
            where = raised_at(error)
            if where is None:
                raise
            message = f"{name}.png is left out: {where}: {described(error)}"
            warnings.warn(message, PluginWarning, stacklevel=2)
            continue
        for kind in kinds:
            paths.append(folder / f"{name}.{kind}")
            files.write(paths[-1], functools.partial(_save_figure, figure, texts=texts, kind=kind, dpi=dpi))
    return paths


def _save_figure(
    figure: "Figure",
    file: BinaryIO,
    *,
    texts: Mapping[str, str] | None = None,
    kind: str = "png",
    dpi: int | None = None,
) -> None:
    options: dict[str, Any] = {}
    if kind == "png":
        from PIL.PngImagePlugin import PngInfo  # what matplotlib writes PNG with

        info = PngInfo()
        for keyword, text in (texts or {}).items():
            info.add_itxt(keyword, text, zip=True)
        options["pil_kwargs"] = {"compress_level": PNG_COMPRESSION, "pnginfo": info}
    with np.errstate(all="ignore"):
        figure.savefig(file, format=kind, dpi=dpi or "figure", **options)


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
