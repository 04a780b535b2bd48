"""The JSON schema of a configuration, made from what catalogues and models declare, for editors and other programs.

It accepts what the loader accepts, but for rules that no schema can say: what stands in the brackets of a call, what an
expression means, and how the dimension of a start and the length of vectors fit the surface (docs/experiments.md).
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from momentumlab.config.comparison import DEFAULT_OPTIMIZERS
from momentumlab.config.resolve import COMPARING
from momentumlab.config.schedules import AXIS_NAMES
from momentumlab.config.validation import ComparisonSettings, Settings
from momentumlab.experiment import Objective
from momentumlab.noise import NOISES
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.registry import Parameter, Registry, title_of
from momentumlab.schedules import SCHEDULES
from momentumlab.surfaces import SURFACES
from momentumlab.surfaces.base import PLAIN_NAME, VARIABLE

Schema = dict[str, Any]

DIALECT = "http://json-schema.org/draft-07/schema#"
"""The one that editors know."""

LARGEST = 1.7976931348623157e308
TUNED = r"^\s*tuned\s*(\(.*\))?\s*$"
NOT_NULL: Schema = {"not": {"type": "null"}}

WORDS = {
    "name": "What run folders and tables call it; the file's name.",
    "surface": "The loss surface: a name, {name: ravine, a: 0.05}, or an expression such as x**2/16 + 9*y**2.",
    "surfaces": "Several surfaces, of a comparison.",
    "optimizer": "A name, {name: momentum, beta: 0.9}, or a list of these.",
    "optimizers": "A name, {name: momentum, beta: 0.9}, or a list of these.",
    "start": "A point, a list of points, grid(50, 50) or random(32, seed=0) over the view window.",
    "iterations": "The most updates that a trial makes.",
    "tolerance": "Converged when the loss changes by at most this.",
    "gradient_tolerance": "Converged when the norm of the gradient is at most this.",
    "target_loss": "Converged when the loss is at most this.",
    "noise": "Errors in gradients: 0.1, relative(0.1), multiplicative(0.1), heavy_tailed(0.1), cycle(1, -1).",
    "replicates": "How often each trial is repeated with other errors.",
    "seed": "Which errors, and which mini-batches.",
    "objective": "By what a comparison ranks.",
    "budget": "Trials with which the search of each optimizer begins.",
    "zooms": "How often the search begins anew around the best cells.",
    "accuracy": "Arrived at this share of the start's loss above the lowest.",
}


def experiment_schema() -> Schema:
    """The schema of an experiment or a comparison."""
    used: dict[str, Schema] = {}
    shared = {word: _nullable(_any_of(each.values())) for word, each in _by_word(used).items()}
    surface = {"$ref": "#/definitions/surface"}
    settings = {**_settings(Settings), **_settings(ComparisonSettings)}
    settings["objective"] = {"enum": [*(objective.label for objective in Objective), None]}
    own: dict[str, Schema] = {
        **settings,
        "surface": _nullable({"anyOf": [surface, {"type": "array", "items": surface, "minItems": 1}]}),
        "surfaces": _nullable({"anyOf": [surface, {"type": "array", "items": surface, "minItems": 1}]}),
        "optimizer": {"$ref": "#/definitions/optimizers"},
        "optimizers": {"$ref": "#/definitions/optimizers"},
        "start": _nullable(_start()),
        "noise": _nullable({"anyOf": [{"type": "number", "minimum": 0, "maximum": LARGEST}, _call(*NOISES)]}),
    }
    return {
        "$schema": DIALECT,
        "title": "momentumlab experiment",
        "description": "What 'momentumlab run', 'sweep', 'compare' and 'tune' read.",
        "type": "object",
        "properties": {**{key: {"description": WORDS[key], **each} for key, each in own.items()}, **shared},
        "additionalProperties": {"type": "null"},
        "allOf": [
            _not_both("optimizer", "optimizers"),
            _not_both("surface", "surfaces"),
            *(_not_both(*pair) for pair in _synonyms(OPTIMIZERS)),
            {"if": {"not": _is_comparison()}, "then": _is_experiment()},
            *_hyperparameters_of_the_chosen(used),
        ],
        "definitions": {
            "surface": _choice(SURFACES, used),
            "optimizer": _choice(OPTIMIZERS, used),
            "optimizers": _nullable(_one_or_several({"$ref": "#/definitions/optimizer"})),
            **used,
        },
    }


def _settings(model: Any) -> dict[str, Schema]:
    """The schema of each field of a pydantic model; null stands for the default."""
    fields: dict[str, Schema] = model.model_json_schema()["properties"]
    return {
        name: _nullable({key: value for key, value in field.items() if key not in ("title", "default")})
        for name, field in fields.items()
    }


def _nullable(schema: Schema) -> Schema:
    return _any_of([*schema.get("anyOf", [schema]), {"type": "null"}])


def _any_of(schemas: Iterable[Schema]) -> Schema:
    different: list[Schema] = []
    for each in schemas:
        if each not in different:
            different.append(each)
    return different[0] if len(different) == 1 else {"anyOf": different}


def _one_or_several(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "array", "items": schema, "minItems": 1}]}


def _start() -> Schema:
    number = {"type": "number", "minimum": -LARGEST, "maximum": LARGEST}
    point = {"type": "array", "items": number, "minItems": 1}
    return {"anyOf": [number, _call("grid", "random"), point, {"type": "array", "items": point, "minItems": 1}]}


def _call(*names: str) -> Schema:
    return {"type": "string", "pattern": rf"^\s*({'|'.join(names)})\s*\([^()]*\)\s*$"}


def _axis(parameter: Parameter, owner: Registry[Any], used: dict[str, Schema]) -> Schema:
    """The values of a parameter, as a reference to a definition that alike ones share."""
    bounds = {"minimum": parameter.ge, "exclusiveMinimum": parameter.gt}
    bounds |= {"maximum": parameter.le, "exclusiveMaximum": parameter.lt}
    number: Schema = {"type": "number", "minimum": -LARGEST, "maximum": LARGEST}
    number |= {key: bound for key, bound in bounds.items() if bound is not None}
    if parameter.kind is tuple:
        vector = {"type": "array", "items": number, "minItems": 1}
        schema = _one_or_several(vector)
    elif parameter.kind is bool:
        schema = _one_or_several({"type": "boolean"})
    elif parameter.kind is str:
        is_closed = parameter.choices and not parameter.is_path
        word: Schema = {"enum": [*parameter.choices]} if is_closed else {"type": "string"}
        schema = _one_or_several(word)
        if parameter.name == "dialect":
            schema["anyOf"][1]["maxItems"] = 1
    else:
        follows = owner is OPTIMIZERS and not (parameter.shared or parameter.constant)
        schedules = [{"type": "string", "pattern": rf"^\s*({'|'.join(SCHEDULES)})\s*\("}] if follows else []
        is_tunable = parameter.name == "lr" or (parameter.ge, parameter.lt) == (0, 1)
        tuned = [{"type": "string", "pattern": TUNED}] if is_tunable else []
        several = {"type": "array", "items": _any_of([number, *schedules]), "minItems": 1}
        schema = {"anyOf": [number, several, _call(*AXIS_NAMES), *schedules, *tuned]}
    name = next((name for name, other in used.items() if other == schema), None)
    if name is None:
        name = f"axis{sum(key.startswith('axis') for key in used) + 1}"
        used[name] = schema
    return {"$ref": f"#/definitions/{name}"}


def _by_word(used: dict[str, Schema]) -> dict[str, dict[str, Schema]]:
    """For every name of a hyperparameter, what it may be for each optimizer that has it."""
    found: dict[str, dict[str, Schema]] = {}
    for name in OPTIMIZERS:
        for parameter in OPTIMIZERS[name].parameters():
            for word in parameter.words:
                found.setdefault(word, {})[name] = _axis(parameter, OPTIMIZERS, used)
    return found


def _choice(catalogue: Registry[Any], used: dict[str, Schema]) -> Schema:
    """An entry of a catalogue by name, alone or with its parameters."""
    words = {name: [name, *catalogue.aliases(name)] for name in catalogue}
    every_word = [word for each in words.values() for word in each]
    known = [
        {
            "if": {"properties": {"name": {"enum": words[name]}}, "required": ["name"]},
            "then": {
                "description": title_of(catalogue[name]),
                "properties": {"name": True, **_parameters(catalogue, name, used)},
                "additionalProperties": False,
                **_without_synonyms(catalogue[name].parameters()),
            },
        }
        for name in catalogue
    ]
    if catalogue is OPTIMIZERS:
        named: Schema = {"enum": every_word}
        unnamed: Schema = {"type": "object", "properties": {"name": named}, "required": ["name"]}
    else:
        named = {"anyOf": [{"enum": every_word}, _expression(every_word)]}
        unnamed = {
            "type": "object",
            "properties": {"name": _nullable(named), "expression": {"type": ["string", "null"], "pattern": r"\S"}},
            "anyOf": [_given("expression"), _given("name")],
        }
        known.append({"if": _given("expression"), "then": _expressed(used, {"not": _given("name")})})
        known.append(
            {"if": {"properties": {"name": _expression(every_word)}, "required": ["name"]}, "then": _expressed(used)}
        )
    return {"anyOf": [named, {**unnamed, "allOf": known}]}


def _parameters(catalogue: Registry[Any], name: str, used: dict[str, Schema]) -> dict[str, Schema]:
    return {
        word: {"description": parameter.doc, **_nullable(_axis(parameter, catalogue, used))}
        for parameter in catalogue[name].parameters()
        for word in parameter.words
    }


def _expression(known: list[str]) -> Schema:
    """What is no plain name is an expression in variables."""
    is_plain = {"pattern": f"^(?:{PLAIN_NAME.pattern})$"}
    return {
        "type": "string",
        "anyOf": [{"not": is_plain}, {"pattern": VARIABLE.pattern}],
        "not": {"enum": known},
    }


def _expressed(used: dict[str, Schema], more: Schema | None = None) -> Schema:
    """The members beside an expression: a view, and a value of each of its constants."""
    number = {"type": "number", "exclusiveMinimum": -1e100, "exclusiveMaximum": 1e100}
    interval = {"type": "array", "items": number, "minItems": 2, "maxItems": 2}
    view = _nullable({"anyOf": [interval, {"type": "array", "items": interval, "minItems": 1}]})
    constant = _axis(Parameter(name="constant", default=0.0, doc=""), SURFACES, used)
    return {
        "properties": {"name": True, "expression": True, "view": view},
        "additionalProperties": _nullable(constant),
        **(more or {}),
    }


def _given(key: str) -> Schema:
    """That a key is there, and not null."""
    return {"required": [key], "properties": {key: NOT_NULL}}


def _not_both(one: str, other: str) -> Schema:
    return {"not": {"required": [one, other], "properties": {one: NOT_NULL, other: NOT_NULL}}}


def _synonyms(catalogue: Registry[Any]) -> list[tuple[str, str]]:
    """Pairs of names of the same parameter, which are not given together."""
    pairs = [
        (one, other)
        for name in catalogue
        for parameter in catalogue[name].parameters()
        for i, one in enumerate(parameter.words)
        for other in parameter.words[i + 1 :]
    ]
    return list(dict.fromkeys(pairs))


def _without_synonyms(parameters: Iterable[Parameter]) -> Mapping[str, Any]:
    pairs = [(p.words[i], word) for p in parameters for i in range(len(p.words)) for word in p.words[i + 1 :]]
    return {"allOf": [_not_both(*pair) for pair in pairs]} if pairs else {}


def _is_comparison() -> Schema:
    """A key that only comparisons have, or something that is to be tuned."""
    tuned = {"type": "string", "pattern": TUNED}
    others = dict.fromkeys((*Settings.model_fields, "surface", "optimizer", "optimizers", "start", "noise"), True)
    tunes: Schema = {"type": "object", "not": {"properties": others, "additionalProperties": {"not": tuned}}}
    entry = {"anyOf": [tunes, {"type": "array", "contains": tunes}]}
    return {
        "anyOf": [
            *({"required": [key]} for key in COMPARING),
            tunes,
            *({"required": [key], "properties": {key: entry}} for key in ("optimizer", "optimizers")),
        ]
    }


def _is_experiment() -> Schema:
    """What a single experiment must say."""
    return {
        "allOf": [_given("surface"), {"anyOf": [_given("optimizer"), _given("optimizers")]}],
        "properties": {"surface": {"not": {"type": "array"}}},
    }


def _hyperparameters_of_the_chosen(used: dict[str, Schema]) -> list[Schema]:
    """At the top level a hyperparameter belongs to one of the optimizers, and lies within the bounds of each."""
    rules: list[Schema] = []
    for word, owners in _by_word(used).items():
        rules.append({"if": _given(word), "then": {"anyOf": [_chosen(name, used) for name in owners]}})
        if len({str(schema) for schema in owners.values()}) > 1:
            rules += [
                {"if": _chosen(name, used), "then": {"properties": {word: _nullable(schema)}}}
                for name, schema in owners.items()
            ]
    return rules


def _chosen(name: str, used: dict[str, Schema]) -> Schema:
    """That an optimizer is one of those that are listed, or of those of a comparison that lists none."""
    key = re.sub(r"\W", "_", name)
    if f"chooses_{key}" not in used:
        words = {"enum": [name, *OPTIMIZERS.aliases(name)]}
        named = {"type": "object", "properties": {"name": words}, "required": ["name"]}
        used[f"is_{key}"] = {"anyOf": [words, named]}
        one = {"$ref": f"#/definitions/is_{key}"}
        used[f"lists_{key}"] = {"anyOf": [one, {"type": "array", "contains": one}]}
        listed = {"$ref": f"#/definitions/lists_{key}"}
        ways: list[Schema] = [
            {"required": [each], "properties": {each: listed}} for each in ("optimizer", "optimizers")
        ]
        if name in DEFAULT_OPTIMIZERS:
            ways.append({"not": {"anyOf": [_given("optimizer"), _given("optimizers")]}})
        used[f"chooses_{key}"] = {"anyOf": ways}
    return {"$ref": f"#/definitions/chooses_{key}"}
