"""pydantic models made from the declarations of settings and parameters, and their complaints in words for people."""

import functools
import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    create_model,
)
from pydantic_core import PydanticKnownError

from momentumlab.config.tree import Node
from momentumlab.errors import Problem
from momentumlab.experiment import DEFAULT_ACCURACY, DEFAULT_BUDGET, DEFAULT_ITERATIONS, Objective
from momentumlab.registry import Parameter, did_you_mean
from momentumlab.schedules import Schedule

STRICT = ConfigDict(strict=True, extra="forbid", frozen=True)
MAX_ITERATIONS = 10**9
MAX_BUDGET = 10**6
MAX_REPLICATES = 10_000
OBJECTIVES = tuple(objective.label for objective in Objective)

MESSAGES = {
    "less_than": "{value} is not below {lt:g}",
    "less_than_equal": "{value} is above {le:g}",
    "greater_than": "{value} is not above {gt:g}",
    "greater_than_equal": "{value} is below {ge:g}",
    "finite_number": "{value} is not a finite number",
    "float_type": "{value} is not a number",
    "int_type": "{value} is not a whole number",
    "int_from_float": "{value} is not a whole number",
    "bool_type": "{value} is neither true nor false",
    "string_type": "{value} is not text",
    "string_too_short": "is empty",
    "string_too_long": "is longer than {max_length} characters",
    "list_type": "{value} is not a list of numbers",
    "too_short": "has no values",
    "value_error": "{error}",
}


class Settings(BaseModel):
    """The settings of an experiment that depend on no catalogue."""

    model_config = STRICT

    name: Annotated[str, Field(min_length=1, max_length=100)]
    iterations: Annotated[int, Field(ge=0, le=MAX_ITERATIONS)] = DEFAULT_ITERATIONS
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    gradient_tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    target_loss: Annotated[float, Field(allow_inf_nan=False)] | None = None
    replicates: Annotated[int, Field(ge=1, le=MAX_REPLICATES)] = 1
    seed: Annotated[int, Field(ge=0, le=2**63)] = 0


class ComparisonSettings(BaseModel):
    """What a comparison says beyond an experiment."""

    model_config = STRICT

    objective: Annotated[str, AfterValidator(lambda value: _one_of(OBJECTIVES, value))] = OBJECTIVES[0]
    budget: Annotated[int, Field(ge=1, le=MAX_BUDGET)] = DEFAULT_BUDGET
    zooms: Annotated[int, Field(ge=0, le=20)] = 0
    accuracy: Annotated[float, Field(gt=0, lt=1)] = DEFAULT_ACCURACY


class StartPoints(BaseModel):
    """Starts that are written out."""

    model_config = STRICT

    start: Annotated[list[list[Annotated[float, Field(allow_inf_nan=False)]]], Field(min_length=1)]


@functools.cache
def model_of(owner: str, parameters: tuple[Parameter, ...], dialect: str = "") -> type[BaseModel]:
    """A model with a list of values, within their bounds, for each parameter of an optimizer or a surface."""
    fields: dict[str, Any] = {p.name: (_axis_type(p), [p.default_in(dialect)]) for p in parameters}
    return create_model(owner, __config__=STRICT, **fields)


def _axis_type(parameter: Parameter) -> Any:
    bounds = {key: getattr(parameter, key) for key in ("gt", "ge", "lt", "le")}
    number = Annotated[float, BeforeValidator(_plain_number), Field(**bounds)]
    item: Any = parameter.kind if parameter.kind in (bool, str) else Annotated[number, WrapValidator(_unless_schedule)]
    if parameter.choices and not parameter.is_path:
        item = Annotated[str, AfterValidator(functools.partial(_one_of, parameter.choices))]
    if parameter.kind is tuple:
        item = Annotated[list[number], Field(min_length=1)]
    return Annotated[list[item], Field(min_length=1)]


def _unless_schedule(value: Any, validated: ValidatorFunctionWrapHandler) -> Any:
    """Schedules are checked elsewhere: what they reach depends on the number of iterations."""
    return value if isinstance(value, Schedule) else validated(value)


def _plain_number(value: Any) -> Any:
    """To pydantic, as to Python, true is the number one; and NaN fails every bound before it fails to be finite."""
    if isinstance(value, bool):
        raise PydanticKnownError("float_type")
    if isinstance(value, float) and not math.isfinite(value):
        raise PydanticKnownError("finite_number")
    return value


def _one_of(choices: tuple[str, ...], value: str) -> str:
    if value not in choices:
        raise ValueError(f"'{value}' is not {' or '.join(choices)}{did_you_mean(value, choices)}")
    return value


def problems_of(error: ValidationError, nodes: Mapping[str, Node]) -> list[Problem]:
    """What a model complains of, at the places where the values were written.

    Parameters
    ----------
    error
        What the model raised.
    nodes
        The node of each field, by the field's name.
    """
    problems = []
    for complaint in error.errors(include_url=False):
        field, *location = complaint["loc"]
        node = nodes[str(field)].at(location)
        context = complaint.get("ctx", {})
        template = MESSAGES.get(complaint["type"], complaint["msg"])
        problems.append(node.problem(template.format(value=spelled(complaint["input"]), **context)))
    return problems


def spelled(value: object) -> str:
    """A value as a person would recognize it, cut to a readable length."""
    if isinstance(value, str):
        text = f"'{value}'"
    elif value is None:
        text = "null"
    elif isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, float):
        text = f"{value:g}" if float(f"{value:g}") == value else repr(value)
    else:
        text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
