"""The JSON schema of results: of ``result.json`` and of what ``--format json`` prints. Keys may be added."""

from typing import Any

from momentumlab.result import Status

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
FINITE_OR_NULL: Schema = {"type": ["number", "null"]}
POINT: Schema = {"type": "array", "items": NUMBER}
POINT_OR_NULLS: Schema = {"type": "array", "items": FINITE_OR_NULL}
MISSING_AT_THE_END: Schema = {"type": ["array", "null"], "items": FINITE_OR_NULL}
ANY_OBJECT: Schema = {"type": "object"}

QUARTILES = ("q1", "median", "q3")


def result_schema() -> Schema:
    """Return the schema of results; a number that is not finite is null."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "momentumlab result",
        "description": "result.json of a run folder, and the output of --format json, which has no file members.",
        "type": "object",
        "properties": {
            "experiment": _described("Name of the experiment.", TEXT),
            "run_folder": {"description": "Path of the run folder, if any.", "type": ["string", "null"]},
            "trials": {
                "description": "All trials of a run, the best of a sweep, the chosen ones of a comparison.",
                "type": "array",
                "items": {"$ref": "#/$defs/trial"},
            },
            "trials_in_all": _described("Sweep: number of trials; 'trials' lists the best of many.", COUNT),
            "objective": _described("Comparison: criterion of the ranking.", TEXT),
            "ranking": {
                "description": "Comparison: a row per surface and optimizer.",
                "type": "array",
                "items": {"$ref": "#/$defs/rank"},
            },
            "format": _described("File: version of the format of run folders.", COUNT),
            "settings": _described("File: the experiment with all defaults, as in experiment.yaml.", ANY_OBJECT),
            "provenance": {"$ref": "#/$defs/provenance"},
            "notes": {"description": "File: remarks on the result.", "type": "array", "items": TEXT},
        },
        "required": ["experiment", "run_folder", "trials"],
        "dependentRequired": {"format": ["settings", "provenance", "notes"], "objective": ["ranking"]},
        "$defs": {
            "trial": _trial(),
            "step": _object(
                {
                    "iteration": COUNT,
                    "point": POINT_OR_NULLS,
                    "gradient": MISSING_AT_THE_END,
                    "velocity": MISSING_AT_THE_END,
                    "loss": FINITE_OR_NULL,
                }
            ),
            "rank": _rank(),
            "provenance": _object(
                {
                    "momentumlab": TEXT,
                    "python": TEXT,
                    "numpy": TEXT,
                    "platform": TEXT,
                    "command_line": {"type": ["string", "null"]},
                    "started": {"type": "string", "format": "date-time"},
                    "seconds": _described("Computing time.", {"type": "number", "minimum": 0}),
                },
                {
                    "libraries": _described("Versions of other libraries by name.", ANY_OBJECT),
                    "plugins": _described("File and SHA-256 of each plug-in.", {"type": "array", "items": ANY_OBJECT}),
                },
            ),
            "hyperparameters": {
                "description": "Values by name; a schedule is its call.",
                "type": "object",
                "additionalProperties": {"type": ["number", "boolean", "string", "array"], "items": NUMBER},
            },
        },
    }


def _trial() -> Schema:
    required = {
        "surface": TEXT,
        "optimizer": TEXT,
        "hyperparameters": {"$ref": "#/$defs/hyperparameters"},
        "start": POINT,
        "replicate": COUNT,
        "iterations": COUNT,
        "gradient_evaluations": COUNT,
        "final_point": POINT_OR_NULLS,
        "final_loss": FINITE_OR_NULL,
        "status": {"enum": [status.label for status in Status]},
    }
    rate = "factor by which the distance to the minimum shrinks per iteration."
    optional = {
        "surface_parameters": _described("If the surface has axes: its parameters.", ANY_OBJECT),
        "rate": _described(f"Measured {rate}", FINITE_OR_NULL),
        "predicted_rate": _described(f"Predicted {rate}", FINITE_OR_NULL),
        "averaged_loss": _described("With noise: loss at the mean of the second half of the iterates.", FINITE_OR_NULL),
        "ema_loss": _described("With noise: loss at a running average of the iterates.", FINITE_OR_NULL),
        "accuracy": _described("Data: fraction of rows that are classified correctly.", NUMBER),
        "validation_loss": _described("Data: mean loss of held-out rows, without the L2 penalty.", NUMBER),
        "validation_accuracy": _described("Data: accuracy on held-out rows.", NUMBER),
        "smallest_curvature": _described("Data: smallest eigenvalue of the final Hessian.", FINITE_OR_NULL),
        "largest_curvature": _described("Data: largest eigenvalue of the final Hessian.", FINITE_OR_NULL),
        "condition_number": _described("Data: ratio of these eigenvalues.", FINITE_OR_NULL),
        "steps": {
            "description": "With --steps: the iterations.",
            "type": "array",
            "items": {"$ref": "#/$defs/step"},
        },
    }
    return _object(required, optional)


def _rank() -> Schema:
    quartiles = _object(dict.fromkeys(QUARTILES, FINITE_OR_NULL))
    return _object(
        {
            "surface": TEXT,
            "surface_parameters": ANY_OBJECT,
            "rank": COUNT,
            "optimizer": TEXT,
            "hyperparameters": {"$ref": "#/$defs/hyperparameters"},
            "searched": _described("Number of settings that were tried.", COUNT),
            "starts": COUNT,
            "evaluations_to_target": _described("Gradient evaluations until the target loss.", quartiles),
            "final_loss": quartiles,
            "result": _described("The quantity that is ranked.", FINITE_OR_NULL),
            "diverged": _described("Fraction of trials that diverged.", NUMBER),
            "robustness": _described(
                "Fraction of the searched learning rates with a result within ten times the best.", FINITE_OR_NULL
            ),
            "statuses": _described("Number of trials by status.", _object({}, dict.fromkeys(_labels(), COUNT))),
            "same_as": _described("Other optimizers with the same trajectories.", {"type": "array", "items": TEXT}),
        },
        {
            "accuracy": _described("Data: median fraction of rows that are classified correctly.", NUMBER),
            "validation_loss": _described("Data: median loss of held-out rows.", FINITE_OR_NULL),
            "validation_accuracy": _described("Data: median accuracy on held-out rows.", NUMBER),
        },
    )


def _labels() -> list[str]:
    return [status.label for status in Status]


def _described(description: str, schema: Schema) -> Schema:
    return {"description": description, **schema}


def _object(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    return {"type": "object", "properties": {**required, **(optional or {})}, "required": [*required]}
