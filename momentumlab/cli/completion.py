"""Completion of names in shells: surfaces, optimizers and other entries, configurations, and run folders."""

from collections.abc import Callable
from pathlib import Path

import typer

CONFIG_ENDINGS = (".yaml", ".yml")

KINDS = {
    "surface": "surfaces",
    "optimizer": "optimizers",
    "schedule": "schedules",
    "noise": "noise",
    "data": "data",
    "convention": "conventions",
}
"""What can be listed and shown, and the name of each list."""


def names_of(*nouns: str, is_list: bool = False) -> Callable[[str], list[str]]:
    """Return the completion of a name of one of several kinds.

    Parameters
    ----------
    nouns
        The kinds, in the plural: ``surfaces``.
    is_list
        Whether several names may be given, separated by commas.
    """

    def complete(incomplete: str) -> list[str]:
        before, comma, begun = incomplete.rpartition(",") if is_list else ("", "", incomplete)
        return [before + comma + name for noun in nouns for name in _names(noun) if name.startswith(begun.lower())]

    return complete


def _names(noun: str) -> list[str]:
    from momentumlab.report.entries import REGISTRIES

    return sorted(REGISTRIES[noun])


def kinds_and_names(incomplete: str) -> list[str]:
    """Complete the first word after ``show``: a kind or the name of an entry."""
    return [kind for kind in (*KINDS, "kernel") if kind.startswith(incomplete)] + names_of(*KINDS.values())(incomplete)


def names_of_kind(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the name in ``show KIND NAME``."""
    listed = KINDS.get(context.params.get("kind") or "")
    return names_of(listed)(incomplete) if listed else []


def configurations(incomplete: str) -> list[str]:
    """Complete the path of a configuration; folders end in a slash."""
    folder = Path(incomplete) if incomplete.endswith("/") else Path(incomplete).parent
    try:
        found = sorted(folder.iterdir())
    except OSError:
        return []
    paths = [f"{path}/" if path.is_dir() else str(path) for path in found if not path.name.startswith(".")]
    return [path for path in paths if path.startswith(incomplete) and path.endswith(("/", *CONFIG_ENDINGS))]


def runs(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a run folder in ``--out``, newest first, or ``latest``."""
    from momentumlab.runs.records import list_runs

    names = [run.path.name for run in list_runs(context.params.get("out") or "runs")]
    return [name for name in ("latest", *names) if name.startswith(incomplete)]
