"""Which runs there are, as a table for people, or as rows for programs."""

import csv
import fnmatch
import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from momentumlab.errors import ConfigError, Problem
from momentumlab.runs.run import Run

MOST_ROWS = 20
"""Of more runs the table has the newest, unless another number is asked for."""

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

COLUMNS = (("when", "<"), ("run", "<"), ("trials", ">"), ("best loss", ">"), ("status", "<"), ("size", ">"))


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which runs are asked for; what is ``None`` is all the same.

    Attributes
    ----------
    name
        A part of the experiment's or the folder's name, or with ``*``, ``?`` or ``[`` a pattern for the whole of one.
    since
        Begun at this moment or later.
    surface, optimizer
        One that took part.
    status
        The label of a status.
    """

    name: str | None = None
    since: datetime | None = None
    surface: str | None = None
    optimizer: str | None = None
    status: str | None = None

    def includes(self, run: Run) -> bool:
        """Whether a run is asked for."""
        return (
            (self.name is None or any(_fits(self.name, each) for each in (run.name, run.path.name)))
            and (self.since is None or run.when >= self.since)
            and (self.surface is None or self.surface in run.surfaces)
            and (self.optimizer is None or self.optimizer in run.optimizers)
            and (self.status is None or self.status == run.status.label)
        )


def _fits(pattern: str, name: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern) if re.search(r"[*?[]", pattern) else pattern in name


def moment(text: str, now: datetime) -> datetime:
    """The moment that ``2d``, ``36h`` (before now), ``2026-11-20`` or ``2026-11-20 18:30`` (local time) means.

    Raises
    ------
    ConfigError
        If it means none.
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)\s*([smhdw])", text.strip())
    try:
        if match:
            return now.astimezone() - timedelta(**{UNITS[match[2]]: float(match[1])})
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError, OSError):
        message = f"'{text}' is no moment: write 2d, 36h or 30m for so long ago, or a day such as 2026-11-20"
        raise ConfigError([Problem(place="--since", message=message)]) from None


def rows(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """The rows for programs."""
    return [
        {
            "run_folder": str(run.path),
            "experiment": run.name,
            "started": run.when.isoformat(timespec="seconds"),
            "status": run.status.label,
            "trials": run.trials,
            "best_loss": run.best_loss,
            "bytes": run.size,
            "surfaces": list(run.surfaces),
            "optimizers": list(run.optimizers),
            "problem": run.problem,
        }
        for run in runs
    ]


def csv_text(runs: Iterable[Run]) -> str:
    """The same as CSV with a heading; names that are listed are parted by spaces."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for number, row in enumerate(rows(runs)):
        if number == 0:
            writer.writerow(row)
        writer.writerow([" ".join(value) if isinstance(value, list) else value for value in row.values()])
    return buffer.getvalue()


def table(runs: Sequence[Run], width_of: Callable[[str], int] = len) -> list[str]:
    """The lines of the table for people, a heading first.

    Parameters
    ----------
    runs
        What is listed.
    width_of
        How many columns of a terminal a text takes.
    """
    cells = [tuple(name for name, _ in COLUMNS)]
    cells += [
        (
            run.when.strftime("%Y-%m-%d %H:%M:%S"),
            shown(run.path.name),
            "" if run.trials is None else f"{run.trials:,}",
            "" if run.best_loss is None else f"{run.best_loss:.5g}",
            run.status.label,
            size_text(run.size),
        )
        for run in runs
    ]
    widths = [max(map(width_of, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(_padded(row, widths, width_of)).rstrip() for row in cells]


def _padded(row: Sequence[str], widths: Sequence[int], width_of: Callable[[str], int]) -> Iterable[str]:
    for cell, width, (_, side) in zip(row, widths, COLUMNS, strict=True):
        space = " " * (width - width_of(cell))
        yield space + cell if side == ">" else cell + space


def shown(text: str) -> str:
    """A text that a terminal shows and does not obey: what cannot be printed is a question mark."""
    return "".join(character if character.isprintable() else "?" for character in text)


def size_text(size: int) -> str:
    """Bytes as people read them: ``512 B``, ``1.2 kB``, ``34 MB``."""
    if size < 1000:
        return f"{size} B"
    number, unit = float(size), 0
    while number >= 999.5:
        number /= 1000
        unit += 1
    return f"{number:.2g} {'kMGTPE'[unit - 1]}B" if number < 99.5 else f"{number:.0f} {'kMGTPE'[unit - 1]}B"
