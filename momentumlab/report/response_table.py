"""``show optimizer NAME --response``: optimizers as filters of gradients, as a table and as JSON."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from momentumlab.errors import ConfigError
from momentumlab.plan import Plan, Trial
from momentumlab.report.labels import Labels
from momentumlab.report.table import Column, Kind, Table
from momentumlab.theory import FilterResponse, check_constant, filter_response
from momentumlab.theory.local_model import optimizer_of

MAX_SETTINGS = 12
"""More curves than this cannot be distinguished."""


@dataclass(frozen=True, kw_only=True)
class LabelledResponse:
    """The response of one setting, with its label."""

    label: str
    trial: Trial
    response: FilterResponse


def responses(plan: Plan) -> list[LabelledResponse]:
    """Return the response of every setting of a plan.

    Raises
    ------
    ConfigError
        If there are more than `MAX_SETTINGS`.
    TheoryDoesNotApplyError
        If an optimizer is not a fixed linear filter of the gradients.
    """
    if plan.trials > MAX_SETTINGS:
        message = f"{plan.trials:,} curves cannot be distinguished; give at most {MAX_SETTINGS} values"
        raise ConfigError.at("--response", message)
    labels = Labels(plan.experiment)
    found = []
    for trial in plan:
        check_constant(plan.group_of(trial.number).schedules)
        response = filter_response(*optimizer_of(trial))
        found.append(LabelledResponse(label=labels.of(trial), trial=trial, response=response))
    return found


def title(found: list[LabelledResponse]) -> str:
    """Return the title of figure and table."""
    return f"{found[0].trial.optimizer} as a filter of gradients"


def response_table(found: list[LabelledResponse]) -> Table:
    """Return a row per setting."""
    answers = [one.response for one in found]
    return Table(
        title=title(found),
        columns=[
            Column(heading="setting", cells=[one.label for one in found], kind=Kind.NAME),
            Column(
                heading="gain at rest",
                cells=[f"{answer.gain_at_rest:.4g}" for answer in answers],
                meaning="amplification of a constant gradient, by which lr is effectively larger",
            ),
            Column(
                heading="gain alternating",
                cells=[f"{answer.gain_alternating:.4g}" for answer in answers],
                meaning="amplification of a gradient that changes sign in every iteration",
            ),
            Column(
                heading="delay",
                cells=[f"{answer.delay:.4g}" for answer in answers],
                meaning="mean age of the gradients in the velocity, in iterations",
            ),
            Column(
                heading="cutoff",
                cells=["none" if math.isinf(answer.cutoff) else f"{answer.cutoff:.4g}" for answer in answers],
                meaning="frequency above which less than half the power passes, in cycles per iteration",
            ),
        ],
    )


def rows(found: list[LabelledResponse]) -> Iterator[dict[str, Any]]:
    """Yield a row per setting for JSON."""
    for one in found:
        answer = one.response
        yield {
            "optimizer": one.trial.optimizer,
            "hyperparameters": dict(one.trial.hyperparameters),
            "gain_at_rest": answer.gain_at_rest,
            "gain_alternating": answer.gain_alternating,
            "delay": answer.delay,
            "cutoff": answer.cutoff,
            "impulse": answer.impulse.tolist(),
            "step": answer.step.tolist(),
            "frequencies": answer.frequencies.tolist(),
            "gain": answer.gain.tolist(),
            "phase": answer.phase.tolist(),
        }
