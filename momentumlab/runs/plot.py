"""Figures of a run folder, drawn again without computing, and the experiment that each PNG carries."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from momentumlab.config.dump import to_yaml
from momentumlab.errors import ConfigError, Problem
from momentumlab.experiment import Comparison, Experiment
from momentumlab.report.figure_files import Drawings, comparison_drawings, run_drawings, sweep_drawings
from momentumlab.report.figure_options import FigureOptions
from momentumlab.report.reports import Report
from momentumlab.result import Result
from momentumlab.runs.identity import current_versions, digest
from momentumlab.runs.layout import DamageError, open_regular
from momentumlab.runs.records import RunFolder, RunStatus, read_run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from momentumlab.runs.read import LoadedRun

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

PNG_COMPRESSION = 3
"""Level of zlib: half the time of the default, 6, for files that are a fifth larger."""

VECTOR_RC: Any = {"pdf.fonttype": 42, "ps.fonttype": 42, "svg.hashsalt": "momentumlab"}
"""Fonts that journals accept, and reproducible identifiers."""

UNDATED = {"pdf": "CreationDate", "svg": "Date"}
"""Metadata that would make equal figures differ in their bytes."""

PNG_EXPERIMENT, PNG_RUN = "momentumlab:experiment", "momentumlab:run"
"""Keywords of the texts in a PNG: the experiment as YAML, and a summary of its run as JSON."""


def drawings(loaded: "LoadedRun", options: FigureOptions, *, only: Sequence[str] = ()) -> Drawings:
    """Return functions that draw the figures of a run, by the names of their files.

    With ``only``, the figures with these names; ``loss`` stands for that of every surface of a comparison.

    Raises
    ------
    ConfigError
        If the run has no such figure, or an option does not apply to it.
    """
    if loaded.comparison_report is not None:
        every = comparison_drawings(loaded.comparison_report, options)
    else:
        draw_all = sweep_drawings if loaded.is_sweep else run_drawings
        every = draw_all(loaded.reports[0], options)
    problems: list[Problem] = []
    chosen: dict[str, Callable[[], Figure]] = {}
    for name in only or every:
        fitting = {each: draw for each, draw in every.items() if each == name or each.startswith(f"{name}-")}
        chosen.update(fitting)
        if not fitting:
            message = f"this run has no figure '{name}'; it has {', '.join(every) or 'none'}"
            problems.append(Problem(place="--only", message=message))
    if options.theory and loaded.comparison is not None:
        problems.append(Problem(place="--theory", message="does not apply to the figures of a comparison"))
    panels, window = {1 if result.plan.dimension == 1 else 2 for result in loaded.results}, options.window
    if options.view is not None and not any(name.startswith("trajectory") for name in chosen):
        problems.append(Problem(place="--view", message="applies to trajectories, and none is drawn"))
    elif window is not None and panels != {len(window)}:
        ends = "two numbers, low,high" if panels == {1} else "four numbers, x-low,x-high,y-low,y-high"
        problems.append(Problem(place="--view", message=f"write {ends}"))
    if problems:
        raise ConfigError(problems)
    return chosen


def animated_report(loaded: "LoadedRun") -> Report:
    """Return the trials that an animation shows: the recorded trials of a sweep, the best of a comparison.

    Raises
    ------
    ConfigError
        If there are none, or on several surfaces.
    """
    reports = [report.recorded if loaded.is_sweep else report for report in loaded.reports]
    if len(reports) != 1 or reports[0] is None:
        several = f"shows one surface, and this run has {len(reports)}"
        message = several if len(reports) > 1 else "this run recorded no trajectories"
        raise ConfigError.at("--animate", message)
    return reports[0]


# The experiment in a PNG


def png_texts(
    experiment: Experiment | Comparison,
    results: Sequence[Result],
    *,
    folder: str,
    kind: str,
    provenance: Mapping[str, object],
) -> dict[str, str]:
    """Return the texts that a PNG carries, by keyword: the experiment, and the name, kind and origin of its folder."""
    versions = {name: provenance.get(name) for name in current_versions()}
    run = {"run_folder": folder, "kind": kind, "digest": digest(results), **versions}
    return {
        "Software": f"momentumlab {versions['momentumlab']}",
        PNG_EXPERIMENT: to_yaml(experiment),
        PNG_RUN: json.dumps(run, ensure_ascii=False),
    }


def save_figure(
    figure: "Figure",
    file: BinaryIO,
    *,
    texts: Mapping[str, str] | None = None,
    kind: str = "png",
    dpi: int | None = None,
) -> None:
    """Write a figure into a file; a PNG carries texts by keyword."""
    import matplotlib as mpl

    options: dict[str, Any] = {"metadata": {UNDATED[kind]: None}} if kind in UNDATED else {}
    if kind == "png":
        from PIL.PngImagePlugin import PngInfo  # matplotlib writes PNG with Pillow

        info = PngInfo()
        for keyword, text in (texts or {}).items():
            info.add_itxt(keyword, text, zip=True)
        options["pil_kwargs"] = {"compress_level": PNG_COMPRESSION, "pnginfo": info}
    with mpl.rc_context(VECTOR_RC), np.errstate(all="ignore"):
        figure.savefig(file, format=kind, dpi=dpi or "figure", **options)


@dataclass(frozen=True, kw_only=True)
class PngSource:
    """The texts that are stored in a figure of a run."""

    path: Path
    experiment: str  # as YAML
    summary: Mapping[str, Any]  # name and kind of the run folder, digest of its final states, versions


def is_png(path: Path) -> bool:
    """Return whether a file is a PNG, regardless of its name."""
    try:
        with os.fdopen(open_regular(os.path.realpath(path)), "rb") as file:
            return file.read(len(PNG_SIGNATURE)) == PNG_SIGNATURE
    except (OSError, ValueError, DamageError):
        return False


def read_png(path: Path) -> PngSource:
    """Read the experiment in a PNG. The image itself is not decoded.

    Raises
    ------
    ConfigError
        If it has none, or cannot be read.
    """
    from PIL import Image

    try:
        with os.fdopen(open_regular(os.path.realpath(path)), "rb") as file, Image.open(file, formats=["PNG"]) as image:
            texts = {key: str(image.info[key]) for key in (PNG_EXPERIMENT, PNG_RUN) if key in image.info}
    except (DamageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = "it is damaged" if isinstance(error, OSError) else str(error)
        raise _png_problem(path, f"cannot be read as a PNG: {reason}") from None
    if len(texts) < 2:
        raise _png_problem(path, "carries no experiment: it is not a figure of momentumlab, or its texts were removed")
    try:
        summary = json.loads(texts[PNG_RUN])
    except (ValueError, RecursionError):
        summary = None
    if not isinstance(summary, dict) or not isinstance(summary.get("digest"), str):
        raise _png_problem(path, "carries a summary of its run that cannot be read")
    return PngSource(path=path, experiment=texts[PNG_EXPERIMENT], summary=summary)


def _png_problem(path: Path, message: str) -> ConfigError:
    return ConfigError.at(str(path), message)


def folder_of(source: PngSource, out: Path) -> RunFolder | None:
    """Return the complete run folder that a PNG comes from, if it is beside the PNG or in ``out``."""
    name = Path(str(source.summary.get("run_folder", "")).replace("\0", "")).name
    for place in [Path(os.path.realpath(source.path)).parent, *([out / name] if name else [])]:
        run = read_run(place)
        if run is not None and run.status is RunStatus.COMPLETE and run.record["digest"] == source.summary["digest"]:
            return run
    return None
