"""An optimizer as a filter: its response for each setting, as a table with what its columns mean, and as data."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from momentumlab.errors import ConfigError, Problem
from momentumlab.plan import Plan, Trial
from momentumlab.report.labels import Labels
from momentumlab.theory import FilterResponse, check_constant, filter_response
from momentumlab.theory.prediction import optimizer_of

MOST = 12
"""More curves than this cannot be told apart."""


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """The response of one setting, and what tells it from the others."""

    label: str
    trial: Trial
    response: FilterResponse


def responses(plan: Plan) -> list[Labelled]:
    """The response for every setting of a plan.

    Raises
    ------
    ConfigError
        If there are more than `MOST`.
    TheoryDoesNotApplyError
        If an optimizer is no fixed linear filter of the gradients.
    """
    if plan.trials > MOST:
        message = f"{plan.trials:,} curves cannot be told apart; give at most {MOST} values"
        raise ConfigError([Problem(place="--response", message=message)])
    labels = Labels(plan.experiment)
    found = []
    for trial in plan:
        check_constant(plan.group_of(trial.number).schedules)
        hyperparameters = dict(trial.hyperparameters)
        lr = float(hyperparameters.pop("lr"))  # type: ignore[arg-type]
        answer = filter_response(optimizer_of(trial.optimizer, hyperparameters), lr)
        found.append(Labelled(label=labels.of(trial), trial=trial, response=answer))
    return found


def title(found: list[Labelled]) -> str:
    """What the figure and the table show."""
    return f"{found[0].trial.optimizer} as a filter of gradients"


def rich_responses(found: list[Labelled]) -> RenderableType:
    """A row per setting, and what the columns mean."""
    table = Table(box=None, pad_edge=False)
    table.add_column("setting")
    for heading in ("gain at rest", "gain alternating", "delay", "cutoff"):
        table.add_column(heading, justify="right")
    for one in found:
        said = one.response
        cutoff = "none" if math.isinf(said.cutoff) else f"{said.cutoff:.4g}"
        cells = (f"{said.gain_at_rest:.4g}", f"{said.gain_alternating:.4g}", f"{said.delay:.4g}", cutoff)
        table.add_row(Text(one.label), *map(Text, cells))
    return Group(Text(title(found), style="bold"), table, *(Text(line, style="dim") for line in meanings()))


def meanings() -> Iterator[str]:
    """What the columns mean."""
    yield "gain at rest: by what gradients that persist are multiplied; lr is in effect so much larger"
    yield "gain alternating: by what gradients that change sign in every iteration are multiplied"
    yield "delay: the mean age of a gradient in the velocity, in iterations"
    yield "cutoff: cycles per iteration from which on less than half the power passes"


def rows(found: list[Labelled]) -> Iterator[dict[str, Any]]:
    """A row per setting, as JSON has it."""
    for one in found:
        said = one.response
        yield {
            "optimizer": one.trial.optimizer,
            "hyperparameters": dict(one.trial.hyperparameters),
            "gain_at_rest": said.gain_at_rest,
            "gain_alternating": said.gain_alternating,
            "delay": said.delay,
            "cutoff": said.cutoff,
            "impulse": said.impulse.tolist(),
            "step": said.step.tolist(),
            "frequencies": said.frequencies.tolist(),
            "gain": said.gain.tolist(),
            "phase": said.phase.tolist(),
        }
