"""The JSON schema of ``result.json``: what other programs can rely on. Members that it does not name may be added."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from momentumlab.result import Status

Label = Annotated[str, Field(json_schema_extra={"enum": [status.label for status in Status]})]
Count = Annotated[int, Field(ge=0)]
OPEN = ConfigDict(extra="allow")


class Trial(BaseModel):
    """One trial, and how it ended; a number that is not finite is null."""

    model_config = OPEN

    surface: str
    surface_parameters: dict[str, Any] = Field(default={}, description="where the surface has axes of its own")
    optimizer: str
    hyperparameters: dict[str, float | bool | str | list[float]] = Field(description="a schedule is told by its call")
    start: list[float]
    replicate: Count
    iterations: Count
    gradient_evaluations: Count
    final_point: list[float | None]
    final_loss: float | None
    status: Label
    rate: float | None = Field(default=None, description="by what the distance to the minimum is multiplied, measured")
    predicted_rate: float | None = Field(default=None, description="the same by theory")
    averaged_loss: float | None = Field(
        default=None, description="with noise: at the mean of the later half of the path"
    )
    ema_loss: float | None = Field(default=None, description="with noise: at a running average of the path")


class Provenance(BaseModel):
    """How, when and with what a run was made."""

    model_config = OPEN

    momentumlab: str
    python: str
    numpy: str
    platform: str
    command_line: str | None
    started: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    seconds: Annotated[float, Field(ge=0, description="of computing")]


class ResultDocument(BaseModel):
    """What ``result.json`` of a run, a sweep or a comparison holds."""

    model_config = OPEN

    experiment: str
    run_folder: str | None
    trials: list[Trial] = Field(description="of a sweep the best")
    trials_in_all: Count = Field(default=0, description="of a sweep: how many there were")
    objective: str = Field(default="", description="of a comparison: by what it ranks")
    ranking: list[dict[str, Any]] = Field(default=[], description="of a comparison: a row per surface and optimizer")
    settings: dict[str, Any] = Field(description="the experiment with every default written out")
    provenance: Provenance
    notes: list[str]


def result_schema() -> dict[str, Any]:
    """The schema of ``result.json``."""
    schema = _plain(ResultDocument.model_json_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "momentumlab result"}


def _plain(schema: Any) -> Any:
    """The same without ``additionalProperties: true``, which goes without saying, and which not every pydantic says."""
    if isinstance(schema, dict):
        return {key: _plain(each) for key, each in schema.items() if (key, each) != ("additionalProperties", True)}
    return [_plain(each) for each in schema] if isinstance(schema, list) else schema
