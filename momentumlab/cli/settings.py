"""From the options of a command to settings of an experiment."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from momentumlab.cli.options import Format
from momentumlab.errors import ConfigError, Problem

if TYPE_CHECKING:
    from momentumlab.config.tree import Node

LONGEST_WORD = 60


def starts_or(flags: dict[str, str | None], starts: int | None) -> dict[str, str | None]:
    """The same settings with ``--starts`` and its ``--seed``, which is also that of the noise, if there is any."""
    if starts is None:
        return flags
    if flags["start"] is not None:
        raise typer.BadParameter("says where to start, and so does --start", param_hint="--starts")
    has_noise = flags["noise"] is not None or flags["replicates"] is not None
    return {
        **flags,
        "start": f"random({starts}, seed={flags['seed'] or 0})",
        "seed": flags["seed"] if has_noise else None,
    }


def refuse_settings(names: Sequence[str], flags: Mapping[str, str | None], option: str) -> None:
    """What is to be tuned must not be a setting of another kind."""
    for name in names:
        if name in flags:
            raise typer.BadParameter(f"{name} is no hyperparameter", param_hint=option)


def settings_among(arguments: Mapping[str, Any]) -> dict[str, str | None]:
    """The arguments of a command that are settings of an experiment or a comparison, by the setting's key."""
    keys = (
        "surface", "optimizer", "optimizers", "lr", "beta", "start", "iterations", "tolerance", "gradient_tolerance",
        "target_loss", "noise", "replicates", "seed", "objective", "budget", "zooms", "accuracy", "name",
    )  # fmt: skip
    return {key: arguments[key] for key in keys if key in arguments}


def refuse_beside_quiet(quiet: bool, output: Format, what: str = "--format") -> None:
    """``--quiet`` prints the run folder alone: what asks for more is a slip."""
    if quiet and (output is not Format.TABLE or what != "--format"):
        raise typer.BadParameter(f"prints the path alone; leave out {what}", param_hint="--quiet")


def joined_words(*words: str | None) -> str:
    """A name for what has none, made from what was typed: of each word no more than fits into a folder's name."""
    plain = (re.sub(r"[^\w]+", "-", word).strip("-")[:LONGEST_WORD].strip("-") for word in words if word)
    return "_".join(filter(None, plain))[:100]


def overriding(
    flags: Mapping[str, str | None], settings: Sequence[str] | None, options: Mapping[str, str] | None = None
) -> "list[Node]":
    """What the options of a command override, in the words of a configuration.

    Parameters
    ----------
    flags
        The text of each flag that was given, by the setting's key.
    settings
        ``--set KEY=VALUE``.
    options
        How a flag is called, where not by its key.
    """
    from momentumlab.config import settings_from_text

    spelled = {key: f"--{key.replace('_', '-')}" for key in flags} | dict(options or {})
    given = {key: (spelled[key], str(text)) for key, text in flags.items() if text is not None}
    return settings_from_text(parsed_settings(settings or [], given))


def parsed_settings(settings: Sequence[str], flags: dict[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """``--set KEY=VALUE`` by key, beside the flags: the option as it was typed, and the value."""
    pairs = dict(flags)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise ConfigError([Problem(place=f"--set {setting}", message="write KEY=VALUE, such as surface.a=0.1")])
        key = key.strip()
        if key in pairs:
            raise ConfigError([Problem(place=f"--set {key}", message=f"is set twice (the other is {pairs[key][0]})")])
        pairs[key] = (f"--set {key}", text)
    return pairs
