"""Lists of runs: filters, a table for the terminal, rows for JSON and CSV."""

import csv
import fnmatch
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from momentumlab.errors import ConfigError
from momentumlab.report.table import Column, Kind, Table
from momentumlab.runs.layout import local_time
from momentumlab.runs.records import RunFolder

MOST_ROWS = 20
"""Default number of rows of the table."""

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Conditions on runs; those that are None hold for every run."""

    # Part of the name of experiment or folder; with ``*``, ``?`` or ``[``, a pattern for all of it.
    name: str | None = None
    since: datetime | None = None
    surface: str | None = None
    optimizer: str | None = None
    status: str | None = None  # its label

    def includes(self, run: RunFolder) -> bool:
        """Return whether all conditions hold for a run."""
        names, pattern = (run.name, run.path.name), self.name or ""
        if re.search(r"[*?[]", pattern):
            is_named = any(fnmatch.fnmatchcase(name, pattern) for name in names)
        else:
            is_named = any(pattern in name for name in names)
        return (
            is_named
            and (self.since is None or run.when >= self.since)
            and (self.surface is None or self.surface in run.surfaces)
            and (self.optimizer is None or self.optimizer in run.optimizers)
            and (self.status is None or self.status == run.status.label)
        )


def moment(text: str, now: datetime) -> datetime:
    """Parse a time: ``2d``, ``36h`` (ago), ``2026-11-20`` or ``2026-11-20 18:30`` (local time).

    Raises
    ------
    ConfigError
        If it is not a time.
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)\s*([smhdw])", text.strip())
    try:
        if match:
            return local_time(now) - timedelta(**{UNITS[match[2]]: float(match[1])})
        return local_time(datetime.fromisoformat(text.strip()))
    except (ValueError, OverflowError, OSError):
        message = f"'{text}' is not a time: write 2d, 36h or 30m for a time ago, or a day such as 2026-11-20"
        raise ConfigError.at("--since", message) from None


def rows(runs: Iterable[RunFolder]) -> list[dict[str, Any]]:
    """Return the rows for programs."""
    return [
        {
            "run_folder": str(run.path),
            "experiment": run.name,
            "started": run.when.isoformat(timespec="seconds"),
            "status": run.status.label,
            "resumable": run.is_resumable,
            "trials": run.trials,
            "best_loss": run.best_loss,
            "bytes": run.size,
            "surfaces": list(run.surfaces),
            "optimizers": list(run.optimizers),
            "problem": run.problem,
        }
        for run in runs
    ]


def csv_text(runs: Iterable[RunFolder]) -> str:
    """Return the rows as CSV with a heading; names within a cell are separated by spaces."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for number, row in enumerate(rows(runs)):
        if number == 0:
            writer.writerow(row)
        writer.writerow([" ".join(value) if isinstance(value, list) else value for value in row.values()])
    return buffer.getvalue()


def table(runs: Sequence[RunFolder]) -> Table:
    """Return a table of runs."""
    starts = [run.when.strftime("%Y-%m-%d %H:%M:%S") for run in runs]
    trials = ["" if run.trials is None else f"{run.trials:,}" for run in runs]
    losses = ["" if run.best_loss is None else f"{run.best_loss:.5g}" for run in runs]
    return Table(
        columns=[
            Column(heading="when", cells=starts, kind=Kind.NAME, priority=1),
            Column(heading="run", cells=[run.path.name for run in runs], kind=Kind.NAME),
            Column(heading="trials", cells=trials),
            Column(heading="best loss", cells=losses),
            Column(heading="status", cells=[run.status.label for run in runs], kind=Kind.NAME),
            Column(heading="size", cells=[size_text(run.size) for run in runs], priority=2),
        ]
    )


def size_text(size: int) -> str:
    """Format a number of bytes: ``512 B``, ``1.2 kB``, ``34 MB``."""
    if size < 1000:
        return f"{size} B"
    number, unit = size / 1000, 0
    while number >= 999.5:
        number, unit = number / 1000, unit + 1
    digits = f"{number:.2g}" if number < 99.5 else f"{number:.0f}"
    return f"{digits} {'kMGTPE'[unit]}B"
