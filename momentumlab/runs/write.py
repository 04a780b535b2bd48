"""Writer of run folders, figures and other files.

The files of a run folder are written in an order that survives a kill at any moment:

1. The folder is created, which claims its name, and locked while this process writes it.
2. `PARTIAL` says what the folder is and names every file before that file is written, so that an interrupted run can be
   listed, resumed and removed.
3. Each file is written under a temporary name and renamed, so that no file is half-written.
4. When all files are on the disk, `RECORD` lists them with their sizes. Its renaming makes the folder complete.
5. Only then is removed what a complete folder does not need: `PARTIAL`, the lock and the blocks of a sweep.

The blocks of an unfinished sweep are in `momentumlab.runs.unfinished`.
"""

import hashlib
import json
import os
import platform
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import numpy as np

from momentumlab import system
from momentumlab.config.dump import to_dict, to_yaml
from momentumlab.errors import OutputError, PluginWarning
from momentumlab.experiment import Comparison, Experiment
from momentumlab.plugins import described, raised_at
from momentumlab.report.data import csv_text, json_document
from momentumlab.report.figure_files import Drawings, comparison_drawings, file_suffixes, run_drawings, sweep_drawings
from momentumlab.report.figure_options import FigureError, FigureOptions
from momentumlab.report.reports import ComparisonReport, Report
from momentumlab.result import Result
from momentumlab.runs import identity, layout
from momentumlab.runs.inputs import data_files, plugin_files, with_copies
from momentumlab.runs.layout import (
    BLOCKS,
    COMPARISON,
    EXPERIMENT,
    FORMAT,
    LOCK,
    PARTIAL,
    RECORD,
    RESULT,
    RUN,
    SWEEP,
    DamageError,
    file_name,
    local_time,
    only_one,
    output_errors,
)
from momentumlab.runs.plot import png_texts, save_figure
from momentumlab.runs.records import read_partial_record, read_record
from momentumlab.runs.remove import block_files, unfinished_files
from momentumlab.search.planes import arrays
from momentumlab.surfaces import SURFACES
from momentumlab.surfaces.one_of import read_spelling

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESUMING = ("process", "block_trials", "shards", "experiment_sha256", "plugin_error")
"""Keys of `PARTIAL` that a complete folder does not need."""

Files = dict[str, str | Mapping[str, Any]]
"""Texts, and arrays of ``.npz`` files, by the names of their files."""

AnyReport = TypeVar("AnyReport", Report, ComparisonReport)


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """How and when a run was made; ``seconds`` counts the computation only."""

    command_line: str | None
    started: datetime
    seconds: float


def prepare(out: Path) -> None:
    """Check, before anything is computed, that run folders can be created in ``out``."""
    with output_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        if not os.access(out, os.W_OK | os.X_OK):
            raise PermissionError(None, "permission denied", str(out))


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


def begin(folder: Path, kind: str, experiment: Experiment | Comparison, started: datetime, **resume: object) -> None:
    """Mark a new folder as unfinished, and write the experiment and its data.

    ``resume`` is what `PARTIAL` holds in addition to complete the run later.
    """
    data = data_files(experiment)
    text = to_yaml(with_copies(experiment, data))
    unfinished = {
        **identity.summary(kind, experiment, data, started=started),
        "process": this_process(),
        "experiment_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "files": [EXPERIMENT, *(each.copy for each in data if each.copy is not None)],
        **resume,
    }
    write_json(folder / PARTIAL, unfinished)
    for each in data:
        if each.copy is not None and each.content is not None:
            layout.write(folder / each.copy, each.content)
    layout.write(folder / EXPERIMENT, text)


def this_process() -> dict[str, object]:
    """Return host and process id, which identify the writer of a folder on file systems without locks."""
    return {"host": platform.node(), "pid": os.getpid()}


def write_run(
    report: Report, out: Path, provenance: Provenance, figures: FigureOptions | None, *, with_page: bool = False
) -> Report:
    """Write a run into a new run folder in ``out``; see `complete`."""
    with output_errors(out):
        folder = make_folder(out, report.experiment.name, provenance.started)
    with output_errors(folder), only_one(folder):
        begin(folder, RUN, report.experiment, provenance.started)
        return complete(report, folder, provenance, figures, with_page=with_page)


def complete(
    report: AnyReport,
    folder: Path,
    provenance: Provenance,
    figures: FigureOptions | None,
    *,
    with_page: bool = False,
) -> AnyReport:
    """Write all files of an unfinished run folder and, when they are on the disk, the record that completes it.

    Without ``figures`` nothing is drawn. If an interactive page is requested and the experiment does not fit on one, a
    note of the returned report says so.

    Raises
    ------
    OutputError
        If a file cannot be written; a sweep or a comparison can then be resumed.
    """
    with output_errors(folder):
        report = report.written_to(folder)
        pages: Files = {}
        if with_page and isinstance(report, Report):
            report, pages = _with_page(report)
        content = _comparison_content(report) if isinstance(report, ComparisonReport) else _run_content(report)
        content.files.update(pages)
        _write_content(folder, content, provenance, report.notes, figures)
    return report


def _write_content(
    folder: Path, content: "_Content", provenance: Provenance, notes: Sequence[str], figures: FigureOptions | None
) -> None:
    """Write the files of a run folder in the order that the module describes."""
    files, experiment, results = content.files, content.experiment, content.results
    drawings = {} if figures is None else content.draw(figures)
    options = figures or FigureOptions()

    # Name all files before the first is written: `runs rm` removes a folder only if it knows every file in it.
    unfinished = read_partial_record(folder)
    names = {*unfinished["files"], *files, *figure_files(drawings, options), RESULT}
    write_json(folder / PARTIAL, {**unfinished, "files": sorted(names)})

    # Data first, then figures: a plug-in that fails while drawing costs no numbers.
    for name, file in files.items():
        layout.write(folder / name, file if isinstance(file, str) else partial(save_arrays, file))
    origin = _origin(experiment, provenance)
    texts = png_texts(experiment, results, folder=folder.name, kind=content.kind, provenance=origin)
    _draw(folder, drawings, texts, options)
    settings = {"settings": to_dict(experiment), "provenance": origin, "notes": list(notes)}
    write_json(folder / RESULT, {"format": FORMAT, **content.document, **settings})

    # A process that was killed and then resumed may have left temporary files.
    for path in unfinished_files(folder, names):
        path.unlink()

    # Everything must be on the disk before the record says so, even if the machine loses power. One wait for all
    # files is shorter than a wait after each of them.
    _, sizes = layout.sizes_in(folder)
    written = {name: size for name in sorted(names) if (size := sizes.get(name)) is not None}
    for name in written:
        system.sync(folder / name)
    system.sync(folder)
    record = {
        **{key: value for key, value in unfinished.items() if key not in RESUMING},
        "trials": sum(result.trials for result in results),
        "identity": identity.identity(experiment),
        "best_loss": identity.best_loss(results),
        "recorded": sum(result.trials for result in content.recorded),
        "strides": [result.history.stride for result in content.recorded if result.history is not None],
        "digest": identity.digest(results),
        "origin": {"host": platform.node(), "inode": folder.stat().st_ino},
        "files": written,
    }
    write_json(folder / RECORD, record, is_synced=True)
    system.sync(folder)
    system.sync(folder.parent)

    # The folder is complete. A kill from here on leaves files that are ignored and removed with the folder.
    (folder / PARTIAL).unlink()
    with suppress(OSError):  # Windows does not remove files that are open
        (folder / LOCK).unlink(missing_ok=True)
    with suppress(OSError):  # other files among the blocks stay
        for path in block_files(folder):
            path.unlink()
        (folder / BLOCKS).rmdir()
    layout.point_latest(folder)


# The content of each kind of folder


@dataclass(frozen=True, kw_only=True)
class _Content:
    """The content in which folders of runs, sweeps and comparisons differ."""

    kind: str
    experiment: Experiment | Comparison
    results: Sequence[Result]  # one per surface of a comparison
    recorded: Sequence[Result]  # those whose histories are stored
    files: Files
    document: Mapping[str, Any]  # content of `RESULT` except the origin of the run
    draw: Callable[[FigureOptions], Drawings]


def _run_content(report: Report) -> _Content:
    recorded = report.recorded if report.is_sweep else report
    files: Files = {"summary.csv": csv_text([report])}
    if report.is_sweep:
        files["sweep.npz"] = arrays(report.planes)
    if recorded is not None:
        files["trajectories.npz"] = _histories(recorded.result)
    return _Content(
        kind=SWEEP if report.is_sweep else RUN,
        experiment=report.experiment,
        results=[report.result],
        recorded=[] if recorded is None else [recorded.result],
        files=files,
        document=json_document(report, numbers=report.best if report.is_sweep else None),
        draw=partial(sweep_drawings if report.is_sweep else run_drawings, report),
    )


def _comparison_content(report: ComparisonReport) -> _Content:
    """Return the content of a comparison; with several surfaces, the names of their files end in their names."""
    from momentumlab.report import comparison_data

    comparison, results = report.result.comparison, report.result.results
    files: Files = {
        "ranking.csv": comparison_data.ranking_csv_text([report]),
        "tuning.csv": comparison_data.tuning_csv_text(report.result),
        "summary.csv": csv_text(report.reports),
        "search.npz": comparison_data.search_arrays(report.result),
    }
    data = data_files(comparison)
    suffixes = file_suffixes([result.experiment.surface.name for result in results])
    for suffix, result in zip(suffixes, results, strict=True):
        files[f"best{suffix}.yaml"] = to_yaml(with_copies(result.experiment, data))
        files[f"trajectories{suffix}.npz"] = _histories(result)
    return _Content(
        kind=COMPARISON,
        experiment=comparison,
        results=results,
        recorded=results,
        files=files,
        document=comparison_data.json_document(report),
        draw=partial(comparison_drawings, report),
    )


def _with_page(report: Report) -> tuple[Report, Files]:
    """Return the interactive page of a run; if it would be too large, the report with a note instead."""
    from momentumlab.report.page import PageTooLargeError, page

    try:
        return report, {"page.html": page(report.experiment).html}
    except PageTooLargeError as error:
        notes = (*report.notes, f"no interactive page: {error}")
        return replace(report, result=replace(report.result, notes=notes)), {}


def _histories(result: Result) -> dict[str, Any]:
    own = {name: getattr(result, name) for name in ("positions", "velocities", "losses", "iterations")}
    return {**own, **result.quantities}


def _origin(experiment: Experiment | Comparison, provenance: Provenance) -> dict[str, Any]:
    """Return the provenance for ``result.json``."""
    origin: dict[str, Any] = {
        **identity.current_versions(),
        "command_line": provenance.command_line,
        "started": local_time(provenance.started).isoformat(timespec="seconds"),
        "seconds": round(provenance.seconds, 6),
    }
    if plugins := plugin_files():
        origin["plugins"] = [{"file": each["file"], "sha256": each["sha256"]} for each in plugins]
    experiments = experiment.experiments if isinstance(experiment, Comparison) else (experiment,)
    used = [SURFACES[read_spelling(name)[0]].library for each in experiments for name in each.surfaces]
    libraries = dict(sorted(library.split(" ", 1) for library in used if " " in library))
    if named := [choice.name for choice in experiments[0].optimizers if ":" in choice.name]:
        from momentumlab.optimizers.adapters import library_versions

        libraries |= library_versions(named)
    if libraries:
        origin["libraries"] = libraries
    return origin


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
        If it cannot be written; neither the file nor a part of it remains.
    """
    with output_errors(path):
        layout.write(path, content)


def write_figure(path: Path, figure: "Figure", figures: FigureOptions | None = None) -> list[Path]:
    """Write one figure in the formats of the options, and return the files; errors are those of `write_file`."""
    figures = figures or FigureOptions()
    paths = [path] if figures.kinds == ("png",) else [path.with_suffix(f".{kind}") for kind in figures.kinds]
    for each, kind in zip(paths, figures.kinds, strict=True):
        write_file(each, partial(save_figure, figure, kind=kind, dpi=figures.dpi))
    return paths


def write_animation(
    path: Path, report: Report, figures: FigureOptions, *, fps: float = 20.0, hold_last: float = 2.0
) -> None:
    """Write an animation; the ending of the path is its format.

    Other parameters and errors are those of `momentumlab.report.figures.animation.write_animation` and `write_file`.
    """
    from momentumlab.report.figures import animation

    kind = path.suffix.lower().removeprefix(".")
    write_file(
        path, lambda file: animation.write_animation(report, file, figures, kind=kind, fps=fps, hold_last=hold_last)
    )


def write_figures(folder: Path, drawings: Drawings, texts: Mapping[str, str], figures: FigureOptions) -> list[Path]:
    """Draw figures into a folder, which is created if necessary, and return the files; a run folder records them.

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
            names = figure_files(drawings, figures)
            foreign = [name for name in names if name not in record["files"] and os.path.lexists(folder / name)]
            if foreign:
                message = f"{', '.join(foreign)} was not written by momentumlab and is not replaced; use --to FOLDER"
                raise OutputError(f"{folder}: {message}")
        paths = _draw(folder, drawings, texts, figures, must_draw=True)
        if record is not None:
            sizes = {path.name: path.stat().st_size for path in paths}
            write_json(folder / RECORD, {**record, "files": {**record["files"], **sizes}})
    return paths


def figure_files(drawings: Drawings, figures: FigureOptions) -> list[str]:
    """Return the names of the files of figures."""
    return [f"{name}.{kind}" for name in drawings for kind in figures.kinds]


def _draw(
    folder: Path, drawings: Drawings, texts: Mapping[str, str], figures: FigureOptions, *, must_draw: bool = False
) -> list[Path]:
    """Draw figures into a folder.

    One that a plug-in prevents is left out with a warning; unless ``must_draw``, so is one that its options prevent.
    """
    paths = []
    for name, draw in drawings.items():
        try:
            figure = draw()
        except Exception as error:
            reason = str(error)
            if isinstance(error, FigureError):
                if must_draw:
                    raise
            elif (where := raised_at(error)) is None:
                raise
            else:
                reason = f"{where}: {described(error)}"
            warnings.warn(f"{name}.png is left out: {reason}", PluginWarning, stacklevel=2)
            continue
        for kind in figures.kinds:
            paths.append(folder / f"{name}.{kind}")
            layout.write(paths[-1], partial(save_figure, figure, texts=texts, kind=kind, dpi=figures.dpi))
    return paths


def save_arrays(content: Mapping[str, Any], file: BinaryIO) -> None:
    """Write arrays into an open ``.npz`` file."""
    np.savez(file, **content)


def write_json(path: Path, value: object, *, is_synced: bool = False) -> None:
    """Write a value as one line of JSON; errors are those of `momentumlab.runs.layout.write`."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False) + "\n"
    try:
        text.encode()
    except UnicodeEncodeError:  # a path that is not valid UTF-8
        text = json.dumps(value, allow_nan=False) + "\n"
    layout.write(path, text, is_synced=is_synced)
