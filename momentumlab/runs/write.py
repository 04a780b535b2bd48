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
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from momentumlab.config import load_comparison, load_experiment
from momentumlab.config.dump import to_dict, to_yaml
from momentumlab.errors import ConfigError, OutputError, PluginWarning
from momentumlab.experiment import Comparison, Experiment
from momentumlab.outcome import Outcome
from momentumlab.plugins import described, raised_at
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
from momentumlab.runs.plot import png_texts, save_figure
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

Files = dict[str, str | Mapping[str, Any]]
"""Texts, and arrays of ``.npz`` files, by the names of their files."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """How and when a run was made; ``seconds`` counts the computation only."""

    command_line: str | None
    started: datetime
    seconds: float

    def as_dict(self) -> dict[str, object]:
        """Return the entry of ``result.json``."""
        plugins = [{"file": each["file"], "sha256": each["sha256"]} for each in identity.plugins()]
        return {
            **identity.current_versions(),
            "command_line": self.command_line,
            "started": local_time(self.started).isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 6),
            **({"plugins": plugins} if plugins else {}),
        }


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a complete run folder holds.

    Attributes
    ----------
    kind
        Kind of run folder; see `momentumlab.runs.layout`.
    experiment
        What was run.
    results
        All trials: one result, or one per surface of a comparison.
    recorded
        Results whose history is stored.
    files
        Texts and arrays.
    drawings
        Functions that draw the figures.
    document
        Content of ``result.json``.
    """

    kind: str
    experiment: Experiment | Comparison
    results: Sequence[Result]
    recorded: Sequence[Result]
    files: Files
    drawings: Drawings
    document: Mapping[str, Any]


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


# Complete run folders


def write_run(
    report: Report,
    out: Path,
    provenance: Provenance,
    *,
    plots: bool = True,
    theory: bool = False,
    with_page: bool = False,
) -> Report:
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
    with_page
        Whether to write the interactive page; if the experiment does not fit on a page, a note says so.

    Returns
    -------
    Report
        The same report with its run folder.

    Raises
    ------
    OutputError
        If a file cannot be written. Files that were written before remain.
    """
    with output_errors(out):
        folder = make_folder(out, report.experiment.name, provenance.started)
    with output_errors(folder), only_one(folder):
        _write_partial(folder, RUN, report.experiment, provenance.started)
        return _write_report(RUN, report, folder, provenance, plots=plots, theory=theory, with_page=with_page)


def write_sweep(
    report: Report,
    folder: Path,
    provenance: Provenance,
    *,
    plots: bool = True,
    theory: bool = False,
    with_page: bool = False,
) -> Report:
    """Complete the run folder of a sweep that `begin_run` created; other parameters are those of `write_run`.

    Raises
    ------
    OutputError
        If a file cannot be written; the sweep can then be resumed.
    """
    with output_errors(folder):
        return _write_report(SWEEP, report, folder, provenance, plots=plots, theory=theory, with_page=with_page)


def _write_report(
    kind: str, report: Report, folder: Path, provenance: Provenance, *, plots: bool, theory: bool, with_page: bool
) -> Report:
    pages: Files = {}
    if with_page:
        from momentumlab.report.page import PageTooLargeError, page

        try:
            pages["page.html"] = page(report.experiment).html
        except PageTooLargeError as error:
            notes = (*report.notes, f"no interactive page: {error}")
            report = replace(report, result=replace(report.result, notes=notes))
    report, experiment, result = report.written_to(folder), report.experiment, report.result
    document: dict[str, Any] = {
        "settings": to_dict(experiment),
        "provenance": provenance.as_dict(),
        "notes": list(report.notes),
    }
    files: Files = {"experiment.yaml": to_yaml(experiment), "summary.csv": csv_text([report]), **pages}
    if kind == RUN:
        recorded, drawings = [result], run_drawings
        document = json_document(report, **document)
    else:
        recorded, drawings = [] if report.recorded is None else [report.recorded.result], sweep_drawings
        document = json_document(report, numbers=report.best, **document, trials_in_all=result.trials)
        files["sweep.npz"] = arrays(report.planes)
    if recorded:
        files["trajectories.npz"] = _histories(recorded[0])
    content = Content(
        kind=kind,
        experiment=experiment,
        results=[result],
        recorded=recorded,
        files=files,
        drawings=drawings(report, theory=theory) if plots else {},
        document=document,
    )
    _complete(folder, content, provenance)
    return report


def write_comparison(
    report: ComparisonReport, folder: Path, provenance: Provenance, *, plots: bool = True
) -> ComparisonReport:
    """Complete the run folder of a comparison; parameters and errors are those of `write_sweep`.

    With several surfaces, the names of their files end in the surface's name.
    """
    from momentumlab.report import comparison_data

    report, comparison, results = report.written_to(folder), report.result.comparison, report.result.results
    with output_errors(folder):
        files: Files = {
            "experiment.yaml": to_yaml(comparison),
            "ranking.csv": comparison_data.ranking_csv_text([report]),
            "tuning.csv": comparison_data.tuning_csv_text(report.result),
            "summary.csv": csv_text(report.reports),
            "search.npz": comparison_data.search_arrays(report.result),
        }
        suffixes = file_suffixes([result.experiment.surface.name for result in results])
        for suffix, result in zip(suffixes, results, strict=True):
            files[f"best{suffix}.yaml"] = to_yaml(result.experiment)
            files[f"trajectories{suffix}.npz"] = _histories(result)
        content = Content(
            kind=COMPARISON,
            experiment=comparison,
            results=results,
            recorded=results,
            files=files,
            drawings=comparison_drawings(report) if plots else {},
            document=comparison_data.json_document(
                report, settings=to_dict(comparison), provenance=provenance.as_dict(), notes=list(report.notes)
            ),
        )
        _complete(folder, content, provenance)
    return report


def _histories(result: Result) -> dict[str, Any]:
    return {name: getattr(result, name) for name in ("positions", "velocities", "losses", "iterations")}


def _complete(folder: Path, content: Content, provenance: Provenance) -> None:
    """Write all files and, when they are on the disk, the record that makes the folder complete."""
    # A folder is removed only if `PARTIAL` or the record names all of its files, whenever the process is killed.
    partial = read_partial_record(folder)
    names = {*partial["files"], *content.files, *(f"{name}.png" for name in content.drawings), RESULT}
    _write_json(folder / PARTIAL, {**partial, "files": sorted(names)})
    for name, file in content.files.items():
        layout.write(folder / name, file if isinstance(file, str) else functools.partial(_save_arrays, file))
    versions = provenance.as_dict()
    texts = png_texts(content.experiment, content.results, folder=folder.name, kind=content.kind, provenance=versions)
    _draw(folder, content.drawings, texts)
    _write_json(folder / RESULT, {"format": FORMAT, **content.document})

    for path in unfinished_files(folder, names):  # of processes that were killed
        path.unlink()
    _, sizes = layout.sizes_in(folder)
    files = {name: size for name in sorted(names) if (size := sizes.get(name)) is not None}
    for name in files:  # one wait for all files is shorter than a wait after each of them
        layout.sync(folder / name)
    layout.sync(folder)
    experiment, results, recorded = content.experiment, content.results, content.recorded
    record = {
        **identity.summary(
            content.kind,
            experiment,
            started=provenance.started,
            trials=sum(result.trials for result in results),
        ),
        "identity": identity.identity(experiment),
        "best_loss": identity.best_loss(results),
        "recorded": sum(result.trials for result in recorded),
        "strides": [result.history.stride for result in recorded if result.history is not None],
        "digest": identity.digest(results),
        "data": identity.data_files(experiment),
        "origin": {"host": platform.node(), "inode": folder.stat().st_ino},
        "files": files,
    }
    _write_json(folder / RECORD, record, is_synced=True)
    layout.sync(folder)
    layout.sync(folder.parent)

    # From here on the folder is complete; what only unfinished folders need is removed.
    (folder / PARTIAL).unlink()
    with suppress(OSError):  # Windows does not remove files that are open
        (folder / LOCK).unlink(missing_ok=True)
    with suppress(OSError):  # other files among the blocks stay
        for path in block_files(folder):
            path.unlink()
        (folder / BLOCKS).rmdir()
    layout.point_latest(folder)


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


# Unfinished sweeps and comparisons


@dataclass(frozen=True, kw_only=True)
class Partial:
    """An unfinished sweep or comparison and the number of trials per block."""

    experiment: Experiment | Comparison
    block_trials: int


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
        kind = COMPARISON if isinstance(experiment, Comparison) else SWEEP
        _write_partial(folder, kind, experiment, started, block_trials=block_trials, experiment=to_dict(experiment))
        layout.write(folder / "experiment.yaml", to_yaml(experiment))
        (folder / BLOCKS).mkdir()
    return folder


def _write_partial(folder: Path, kind: str, what: Experiment | Comparison, started: datetime, **resume: object) -> None:
    """Mark a folder as unfinished; ``resume`` is what is needed to complete it later."""
    partial = {
        **identity.summary(kind, what, started=started, trials=what.trials),
        "complete": False,
        "process": {"host": platform.node(), "pid": os.getpid()},
        "files": ["experiment.yaml"],
        **resume,
    }
    _write_json(folder / PARTIAL, partial)


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
        if partial["kind"] == RUN:
            raise OutputError(f"{folder}: is not an unfinished sweep but an interrupted run; run it again")
        block_trials, settings = partial.get("block_trials"), partial.get("experiment")
        if block_trials is None or block_trials > LARGEST_BLOCK:
            raise DamageError(f"block_trials is not an integer from 1 to {LARGEST_BLOCK}")
        if settings is None:
            raise DamageError("it has no experiment")
        experiment = load_experiment(settings) if partial["kind"] == SWEEP else load_comparison(settings)
    except (DamageError, ConfigError, RecursionError) as error:
        reason = "; ".join(str(error).splitlines()) or "it is nested too deeply"
        raise OutputError(f"{folder / PARTIAL}: cannot be read ({reason})") from error
    return Partial(experiment=experiment, block_trials=block_trials)


def record_plugin_error(folder: Path, message: str) -> None:
    """Note in an unfinished folder that a plug-in ended the run, so that it can be resumed with another version.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with output_errors(folder), suppress(DamageError):
        _write_json(folder / PARTIAL, {**read_partial_record(folder), "plugin_error": message})


def ended_by_plugin(folder: Path) -> bool:
    """Return whether an error in a plug-in ended the run in a folder."""
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
        content = {name: getattr(outcome, name) for name in BLOCK_ARRAYS}
        layout.write(folder / BLOCKS / f"{offset + outcome.first}.npz", functools.partial(_save_arrays, content))


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


# Single files and figures


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
        write_file(path, text)


def write_file(path: Path, content: str | Callable[[BinaryIO], object]) -> None:
    """Write a text, or a file whose content another module writes.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with output_errors(path):
        layout.write(path, content)


def write_figure(path: Path, figure: "Figure") -> None:
    """Write one figure as PNG; errors are those of `write_file`."""
    write_file(path, functools.partial(save_figure, figure))


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
        record = None
        with suppress(DamageError):
            record = read_record(folder)
        if record is not None:
            names = (f"{name}.{kind}" for name in drawings for kind in kinds)
            foreign = [name for name in names if name not in record["files"] and os.path.lexists(folder / name)]
            if foreign:
                message = f"{', '.join(foreign)} was not written by momentumlab and is not replaced; use --to FOLDER"
                raise OutputError(f"{folder}: {message}")
        paths = _draw(folder, drawings, texts, kinds=kinds, dpi=dpi)
        if record is not None:
            sizes = {path.name: path.stat().st_size for path in paths}
            _write_json(folder / RECORD, {**record, "files": {**record["files"], **sizes}})
    return paths


def _draw(
    folder: Path,
    drawings: Drawings,
    texts: Mapping[str, str],
    *,
    kinds: Sequence[str] = ("png",),
    dpi: int | None = None,
) -> list[Path]:
    """Draw figures into a folder; one that a plug-in prevents is left out with a warning."""
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
            layout.write(paths[-1], functools.partial(save_figure, figure, texts=texts, kind=kind, dpi=dpi))
    return paths


def _save_arrays(content: Mapping[str, Any], file: BinaryIO) -> None:
    np.savez(file, **content)


def _write_json(path: Path, value: object, *, is_synced: bool = False) -> None:
    text = json.dumps(value, allow_nan=False, ensure_ascii=False) + "\n"
    try:
        text.encode()
    except UnicodeEncodeError:  # a path that is not valid UTF-8
        text = json.dumps(value, allow_nan=False) + "\n"
    layout.write(path, text, is_synced=is_synced)
