"""Parsers of the values of options, with messages that state what is accepted.

Typer's own conversions would name Python classes in their messages. Some versions of Typer also pass defaults through
the parser, so parsers accept what they return.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer

MOST_SHARDS = 100_000

ANIMATIONS = (".gif", ".apng", ".png", ".mp4")


def one_of(*names: str) -> dict[str, Any]:
    """Describe an option with a few possible values, which are read in any case, in the singular or the plural."""

    def parse(text: str) -> str:
        word = text.strip().lower().replace("-", "_")
        found = next((each for each in (word, word.removesuffix("s")) if each in names), None)
        if found is None:
            from momentumlab.registry import did_you_mean

            raise typer.BadParameter(f"unknown value '{text}'{did_you_mean(text, names)}; use {_either(names)}")
        return found

    return {"parser": parse, "metavar": "|".join(names), "autocompletion": lambda: list(names)}


def _either(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _number(text: str | float) -> float:
    """Return a finite number, or NaN, which is within no bounds."""
    try:
        return float(text) if math.isfinite(float(text)) else math.nan
    except ValueError:
        return math.nan


def number(least: float, most: float) -> Callable[[str | float], float]:
    """Return a parser of numbers within bounds."""

    def parse(text: str | float) -> float:
        if not least <= _number(text) <= most:
            raise typer.BadParameter(f"'{text}' is not a number from {least:g} to {most:g}")
        return float(text)

    return parse


def whole(least: int, most: int | None = None) -> Callable[[str | int], int]:
    """Return a parser of whole numbers within bounds."""
    bounds = f"of at least {least}" if most is None else f"from {least} to {most}"

    def parse(text: str | int) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least or (most is not None and value > most):
            raise typer.BadParameter(f"'{text}' is not a whole number {bounds}")
        return value

    return parse


def shard_of(text: str) -> tuple[int, int]:
    """Parse the number of a shard and the number of all shards, ``3/16``."""
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count) <= MOST_SHARDS):
        message = f"'{text}' is not I/N with I from 1 to N, such as 3/16, and N at most {MOST_SHARDS:,}"
        raise typer.BadParameter(message, param_hint="--shard")
    return int(index), int(count)


def gibibytes(text: str | int) -> int:
    """Parse a size in GiB and return the number of bytes."""
    if isinstance(text, int):  # the default
        return text
    if not _number(text) >= 0.001:
        raise typer.BadParameter(f"'{text}' is not a finite number of GiB of at least 0.001")
    return int(float(text) * 2**30)


def animation_file(text: str) -> Path:
    """Parse the name of an animation file; its extension determines the format."""
    path = Path(text)
    if path.suffix.lower() not in ANIMATIONS:
        raise typer.BadParameter(f"'{text}' does not end in {_either(ANIMATIONS)}")
    return path


def read_by(name: str) -> Callable[[str], Any]:
    """Return a parser that is a function of `momentumlab.report.figure_options`, which is imported when it is used."""

    def parse(text: str) -> Any:
        from momentumlab.report import figure_options

        try:
            return getattr(figure_options, name)(text)
        except figure_options.FigureError as error:
            raise typer.BadParameter(str(error)) from None

    return parse
