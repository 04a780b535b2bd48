"""Writer of run folders, and the only module that creates files.

A folder is claimed by creating it. It is locked while a process writes it, its `PARTIAL` names every file before that
file is written, and each file is written under a temporary name and then renamed. When all files are on the disk,
`RECORD` lists them with their sizes and makes the folder complete.
"""

import functools
import json
import os
import platform
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from momentumlab.config import load_comparison, load_experiment
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
from momentumlab.runs import identity, layout
from momentumlab.runs.arrays import read_arrays
from momentumlab.runs.layout import (
    BLOCKS,
    COMPARISON,
    FORMAT,
    LOCK,
    PARTIAL,
    RECORD,
    RESULT,
    RUN,
    SWEEP,
    DamageError,
    local_time,
    only_one,
    output_errors,
)
from momentumlab.runs.records import read_partial_record, read_record
from momentumlab.runs.remove import block_files, unfinished_files
from momentumlab.search.planes import arrays

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME_BYTES = 100
"""Bytes of an experiment's name in the name of its run folder."""

BLOCK_ARRAYS: dict[str, type[np.generic]] = {
    "points": np.float64,
    "losses": np.float64,
    "iterations": np.int32,
    "codes": np.int8,
}

PNG_COMPRESSION = 3
"""Level of zlib: half the time of the default, 6, for files that are a fifth larger."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """How and when a run was made; ``seconds`` counts the computation only."""

    command_line: str | None
    started: datetime
    seconds: float

    def as_dict(self) -> dict[str, object]:
        """Return the entry of ``result.json``."""
        plugins = [{"file": str(plugin.path), "sha256": plugin.sha256} for plugin in loaded_plugins()]
        return {
            **identity.current_versions(),
            "command_line": self.command_line,
            "started": local_time(self.started).isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 6),
            **({"plugins": plugins} if plugins else {}),
        }


def prepare(out: Path) -> None:
    """Check, before anything is computed, that run folders can be created in ``out``.

    Raises
    ------
    OutputError
        If ``out`` cannot be created or written.
    """
    with output_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        if not os.access(out, os.W_OK | os.X_OK):
            raise PermissionError(None, "permission denied", str(out))


def write_run(report: Report, out: Path, provenance: Provenance, *, plots: bool = True, theory: bool = False) -> Report:
    """Write a run into a new run folder.

    Parameters
    ----------
    report
        The run.
    out
        Folder of the run folders.
    provenance
        How it was made.
    plots
        Whether to draw the figures.
    theory
        Whether the figures show predictions.

    Returns
    -------
    Report
        The same report with its run folder.

    Raises
    ------
    OutputError
        If a file cannot be written. Files that were written before remain.
    """
    experiment = report.experiment
    with output_errors(out):
        folder = make_folder(out, experiment.name, provenance.started)
    report = report.written_to(folder)
    result = report.result
    with output_errors(folder), _unfinished(folder, RUN, experiment, provenance, result.trials):
        _write_texts(folder, {"experiment.yaml": to_yaml(experiment), "summary.csv": csv_text([report])})
        _write_arrays(folder, "trajectories.npz", _history(result))
        if plots:
            _draw(folder, RUN, experiment, [result], provenance, run_drawings(report, theory=theory))
        document = json_document(
            report, settings=to_dict(experiment), provenance=provenance.as_dict(), notes=list(report.notes)
        )
        _complete(folder, document, RUN, experiment, provenance, [result], [result])
    return report


def begin_run(experiment: Experiment | Comparison, out: Path, started: datetime, block_trials: int) -> Path:
    """Create the run folder of a sweep or a comparison, which can be resumed until it is complete.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    with output_errors(out):
        folder = make_folder(out, experiment.name, started)
    with output_errors(folder):
        resume = {"block_trials": block_trials, "experiment": to_dict(experiment)}
        kind = COMPARISON if isinstance(experiment, Comparison) else SWEEP
        _write_partial(folder, kind, experiment, started, experiment.trials, resume)
        _write_texts(folder, {"experiment.yaml": to_yaml(experiment)})
        (folder / BLOCKS).mkdir()
    return folder


def record_plugin_error(folder: Path, message: str) -> None:
    """Note in an unfinished sweep's folder that a plug-in ended it, so that it can be resumed with another version.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with output_errors(folder), suppress(DamageError):
        partial = read_partial_record(folder)
        _write_json(folder / PARTIAL, {**partial, "plugin_error": message})


def ended_by_plugin(folder: Path) -> bool:
    """Return whether an error in a plug-in ended the sweep in a folder."""
    try:
        return "plugin_error" in read_partial_record(folder)
    except DamageError:
        return False


def save_block(folder: Path, outcome: Outcome, offset: int = 0) -> None:
    """Keep the trials of one block until the run is complete.

    Parameters
    ----------
    folder
        The run folder.
    outcome
        The block.
    offset
        The number of trials in earlier plans of the same run, such as the steps of a search.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    with output_errors(folder):
        (folder / BLOCKS).mkdir(exist_ok=True)
        content: dict[str, Any] = {name: getattr(outcome, name) for name in BLOCK_ARRAYS}
        layout.write(folder / BLOCKS / f"{offset + outcome.first}.npz", lambda file: np.savez(file, **content))


@dataclass(frozen=True, kw_only=True)
class Partial:
    """An unfinished sweep or comparison and the number of trials per block."""

    experiment: Experiment | Comparison
    block_trials: int


def read_partial(folder: Path) -> Partial:
    """Read what an unfinished sweep or comparison is to compute.

    Raises
    ------
    OutputError
        If the folder is not that of an unfinished sweep, or cannot be read.
    """
    from momentumlab.executor import LARGEST_BLOCK

    if not folder.exists():
        raise OutputError(f"{folder}: no such folder")
    if (folder / RECORD).exists():
        raise OutputError(f"{folder}: is complete")
    if not os.path.lexists(folder / PARTIAL):
        raise OutputError(f"{folder}: is not the folder of an unfinished sweep")
    try:
        partial = read_partial_record(folder)
        if partial["kind"] not in (SWEEP, COMPARISON):
            kind = partial["kind"]
            raise OutputError(f"{folder}: is not an unfinished sweep but an interrupted {kind}; run it again")
        block_trials = partial.get("block_trials") or 0
        if not 0 < block_trials <= LARGEST_BLOCK:
            raise DamageError(f"block_trials is not an integer from 1 to {LARGEST_BLOCK}")
        if partial.get("experiment") is None:
            raise DamageError("it has no experiment")
        load = load_experiment if partial["kind"] == SWEEP else load_comparison
        experiment: Experiment | Comparison = load(partial["experiment"])
    except (DamageError, ConfigError, RecursionError) as error:
        reason = "; ".join(str(error).splitlines()) or "it is nested too deeply"
        raise OutputError(f"{folder / PARTIAL}: cannot be read ({reason})") from error
    return Partial(experiment=experiment, block_trials=block_trials)


def read_blocks(folder: Path, experiment: Experiment, block_trials: int, offset: int = 0) -> dict[int, Outcome]:
    """Return the finished blocks of an experiment by their first trial; damaged blocks are left out.

    Parameters are those of `save_block`.
    """
    outcomes: dict[int, Outcome] = {}
    for path in block_files(folder):
        first = int(path.stem) - offset if path.stem.isdecimal() else -1
        if not 0 <= first < experiment.trials or first % block_trials:
            continue
        outcome = Outcome(first, min(block_trials, experiment.trials - first), experiment.dimension)
        with suppress(DamageError):
            expected = {name: (dtype, getattr(outcome, name).shape) for name, dtype in BLOCK_ARRAYS.items()}
            for name, array in read_arrays(path, expected).items():
                getattr(outcome, name)[:] = array
            if np.isin(outcome.codes, [status.code for status in Status]).all():
                outcomes[first] = outcome
    return dict(sorted(outcomes.items()))


def write_sweep(
    report: Report, folder: Path, provenance: Provenance, *, plots: bool = True, theory: bool = False
) -> Report:
    """Complete the run folder of a sweep.

    Parameters
    ----------
    report
        The sweep.
    folder
        What `begin_run` created.
    provenance
        How it was made.
    plots
        Whether to draw the figures.
    theory
        Whether the maps show predictions.

    Raises
    ------
    OutputError
        If a file cannot be written; the sweep can then be resumed.
    """
    report, experiment = report.written_to(folder), report.experiment
    result = report.result
    recorded = [] if report.recorded is None else [report.recorded.result]
    with output_errors(folder):
        if not (folder / "experiment.yaml").exists():  # the process was killed in its first moment
            _write_texts(folder, {"experiment.yaml": to_yaml(experiment)})
        _write_arrays(folder, "sweep.npz", arrays(report.planes))
        _write_texts(folder, {"summary.csv": csv_text([report])})
        for each in recorded:
            _write_arrays(folder, "trajectories.npz", _history(each))
        if plots:
            _draw(folder, SWEEP, experiment, [result], provenance, sweep_drawings(report, theory=theory))
        document = json_document(
            report,
            numbers=report.best,
            settings=to_dict(experiment),
            provenance=provenance.as_dict(),
            notes=list(report.notes),
            trials_in_all=result.trials,
        )
        _complete(folder, document, SWEEP, experiment, provenance, [result], recorded)
        _remove_blocks(folder)
    return report


def write_comparison(
    report: ComparisonReport, folder: Path, provenance: Provenance, *, plots: bool = True
) -> ComparisonReport:
    """Complete the run folder of a comparison; parameters and errors are those of `write_sweep`.

    With several surfaces, the names of their files end in the surface's name.
    """
    from momentumlab.report import comparison_data

    comparison = report.result.comparison
    report = report.written_to(folder)
    results = report.result.results
    with output_errors(folder):
        texts = {
            "experiment.yaml": to_yaml(comparison),
            "ranking.csv": comparison_data.ranking_csv_text([report]),
            "tuning.csv": comparison_data.tuning_csv_text(report.result),
            "summary.csv": csv_text(report.reports),
        }
        _write_texts(folder, texts)
        _write_arrays(folder, "search.npz", comparison_data.search_arrays(report.result))
        suffixes = file_suffixes([each.experiment.surface.name for each in results])
        for suffix, each in zip(suffixes, results, strict=True):
            _write_texts(folder, {f"best{suffix}.yaml": to_yaml(each.experiment)})
            _write_arrays(folder, f"trajectories{suffix}.npz", _history(each))
        if plots:
            _draw(folder, COMPARISON, comparison, results, provenance, comparison_drawings(report))
        document = comparison_data.json_document(
            report, settings=to_dict(comparison), provenance=provenance.as_dict(), notes=list(report.notes)
        )
        _complete(folder, document, COMPARISON, comparison, provenance, results, results)
        _remove_blocks(folder)
    return report


def _remove_blocks(folder: Path) -> None:
    """Remove the blocks of a complete run; other files in their folder stay."""
    with suppress(OSError):
        for path in block_files(folder):
            path.unlink()
        (folder / BLOCKS).rmdir()


def write_new_files(texts: Mapping[Path, str], *, force: bool = False) -> None:
    """Write text files that do not exist yet: all of them or none.

    Raises
    ------
    OutputError
        If one exists (unless forced) or cannot be written.
    """
    for path in texts:
        with output_errors(path):
            if path.exists() and not force:
                raise FileExistsError(None, "already exists; --force overwrites it", str(path))
    for path, text in texts.items():
        with output_errors(path):
            layout.write(path, text)


def write_file(path: Path, content: Callable[[BinaryIO], object]) -> None:
    """Write a file whose content another module provides.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with output_errors(path):
        layout.write(path, content)


def write_figure(path: Path, figure: "Figure") -> None:
    """Write one figure as PNG; errors as those of `write_file`."""
    write_file(path, functools.partial(_save_figure, figure))


def write_figures(
    folder: Path, drawings: Drawings, texts: Mapping[str, str], *, kinds: Sequence[str] = ("png",), dpi: int | None
) -> list[Path]:
    """Draw figures into a folder, which is created if necessary; a run folder adds them to its record.

    Parameters
    ----------
    folder
        Destination.
    drawings
        Functions that draw, by the names of their files.
    texts
        Texts that each PNG carries, by keyword.
    kinds
        ``png``, ``svg``, ``pdf``: each figure is written in all of these formats.
    dpi
        Dots per inch of a PNG; None for the default.

    Returns
    -------
    paths
        The files that were written.

    Raises
    ------
    OutputError
        If a file cannot be written, or would replace a file in a run folder that the run did not write.
    """
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            record = read_record(folder) if (folder / RECORD).exists() else None
        except DamageError:
            record = None
        if record is not None:
            names = (f"{name}.{kind}" for name in drawings for kind in kinds)
            foreign = [name for name in names if name not in record["files"] and os.path.lexists(folder / name)]
            if foreign:
                message = f"{', '.join(foreign)} was not written by momentumlab and is not replaced; use --to FOLDER"
                raise OutputError(f"{folder}: {message}")
        paths = _write_figures(folder, drawings, texts, kinds=kinds, dpi=dpi)
        if record is not None:
            sizes = {path.name: path.stat().st_size for path in paths}
            _write_json(folder / RECORD, {**record, "files": {**record["files"], **sizes}})
    return paths


def make_folder(out: Path, name: str, when: datetime) -> Path:
    """Create a folder ``<YYYYMMDD-HHMMSS>-<name>``, with ``-2``, ``-3``, … if that exists, and return it."""
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
    """Return a name for files on every file system: letters, digits and ``._-``, at most `NAME_BYTES` bytes."""
    safe = re.sub(r"[^\w.-]+", "_", name).strip("._") or "experiment"
    return safe.encode()[:NAME_BYTES].decode(errors="ignore")


# Parts of a run folder


@contextmanager
def _unfinished(folder: Path, kind: str, experiment: Experiment, provenance: Provenance, trials: int) -> Iterator[None]:
    """Lock a folder that is written in one go, and mark it as unfinished."""
    with only_one(folder):
        _write_partial(folder, kind, experiment, provenance.started, trials)
        yield


def _write_partial(
    folder: Path,
    kind: str,
    experiment: Experiment | Comparison,
    started: datetime,
    trials: int,
    resume: Mapping[str, object] | None = None,
) -> None:
    """Mark a folder as unfinished; ``resume`` is what is needed to complete it later."""
    process = {"host": platform.node(), "pid": os.getpid()}
    summary = identity.summary(kind, experiment, started=started, trials=trials)
    _write_json(folder / PARTIAL, {**summary, "complete": False, "process": process, "files": [], **(resume or {})})


def _announce(folder: Path, names: Iterable[str]) -> None:
    """Add the names of files to `PARTIAL` before they are written."""
    partial = read_partial_record(folder)
    files = [*partial["files"], *(name for name in names if name not in partial["files"])]
    if len(files) > len(partial["files"]):
        _write_json(folder / PARTIAL, {**partial, "files": files})


def _write_json(path: Path, value: object, *, sync: bool = False) -> None:
    text = json.dumps(value, allow_nan=False, ensure_ascii=False) + "\n"
    try:
        text.encode()
    except UnicodeEncodeError:  # a path that is not valid UTF-8
        text = json.dumps(value, allow_nan=False) + "\n"
    layout.write(path, text, is_synced=sync)


def _write_texts(folder: Path, texts: Mapping[str, str]) -> None:
    _announce(folder, texts)
    for name, text in texts.items():
        layout.write(folder / name, text)


def _write_arrays(folder: Path, name: str, content: Mapping[str, Any]) -> None:
    _announce(folder, [name])
    layout.write(folder / name, lambda file: np.savez(file, **content))


def _history(result: Result) -> dict[str, Any]:
    return {name: getattr(result, name) for name in ("positions", "velocities", "losses", "iterations")}


def _draw(
    folder: Path,
    kind: str,
    experiment: Experiment | Comparison,
    results: Sequence[Result],
    provenance: Provenance,
    drawings: Drawings,
) -> None:
    _announce(folder, [f"{name}.png" for name in drawings])
    texts = identity.png_texts(experiment, results, folder=folder.name, kind=kind, provenance=provenance.as_dict())
    _write_figures(folder, drawings, texts)


def _complete(
    folder: Path,
    document: Mapping[str, Any],
    kind: str,
    experiment: Experiment | Comparison,
    provenance: Provenance,
    results: Sequence[Result],
    recorded: Sequence[Result],
) -> None:
    """Write ``result.json`` and, when all files are on the disk, the record that makes the folder complete."""
    _announce(folder, [RESULT])
    _write_json(folder / RESULT, {"format": FORMAT, **document})
    written = read_partial_record(folder)["files"]
    for path in unfinished_files(folder, written):  # of processes that were killed
        path.unlink()
    _, sizes = layout.sizes_in(folder)
    files = {name: size for name in sorted(written) if (size := sizes.get(name)) is not None}
    for name in files:  # one wait for all files is shorter than a wait after each of them
        layout.sync(folder / name)
    layout.sync(folder)
    origin = {"host": platform.node(), "inode": folder.stat().st_ino}
    trials = sum(result.trials for result in results)
    record = {
        **identity.summary(kind, experiment, started=provenance.started, trials=trials),
        **identity.numbers(experiment, results, recorded),
        "origin": origin,
        "files": files,
    }
    _write_json(folder / RECORD, record, sync=True)
    layout.sync(folder)
    layout.sync(folder.parent)
    (folder / PARTIAL).unlink()
    with suppress(OSError):  # Windows does not remove files that are open
        (folder / LOCK).unlink(missing_ok=True)
    layout.point_latest(folder)


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
            layout.write(paths[-1], functools.partial(_save_figure, figure, texts=texts, kind=kind, dpi=dpi))
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
        from PIL.PngImagePlugin import PngInfo  # matplotlib writes PNG with Pillow

        info = PngInfo()
        for keyword, text in (texts or {}).items():
            info.add_itxt(keyword, text, zip=True)
        options["pil_kwargs"] = {"compress_level": PNG_COMPRESSION, "pnginfo": info}
    with np.errstate(all="ignore"):
        figure.savefig(file, format=kind, dpi=dpi or "figure", **options)
