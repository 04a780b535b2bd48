"""The JSON schema of a configuration, generated from the registries and the declared settings.

For each key it has the type, the bounds and the allowed words. Rules between keys are left to the loader: whether the
chosen optimizers have a hyperparameter of the top level, the arguments of a call, the meaning of an expression, and
whether the dimension of a start and the lengths of vectors fit the surface (docs/experiments.md).
"""

import json
from collections.abc import Iterable
from typing import Any

from momentumlab.config.expressions import MOTION
from momentumlab.config.settings import COMPARING, COMPARISON_SETTINGS, SETTINGS
from momentumlab.config.values import AXIS_CALLS
from momentumlab.experiment import START_CALLS
from momentumlab.noise import NOISE_MODELS
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.parameters import Parameter, ValueKind, parameters_of
from momentumlab.registry import Registry, title_of
from momentumlab.schedules import SCHEDULES
from momentumlab.surfaces import SURFACES
from momentumlab.surfaces.base import PLAIN_NAME, VARIABLE
from momentumlab.surfaces.moved import MovedSurface

Schema = dict[str, Any]

DIALECT = "http://json-schema.org/draft-07/schema#"
"""The dialect that editors support."""

LARGEST = 1.7976931348623157e308
TUNED = r"^\s*tuned\s*(\(.*\))?\s*$"
NULL: Schema = {"type": "null"}
NOT_NULL: Schema = {"not": NULL}

DESCRIPTIONS = {
    "surface": "Loss surface: a name, {name: ravine, a: 0.05}, an expression such as x**2/16 + 9*y**2, or a list.",
    "surfaces": "Surfaces of a comparison.",
    "optimizer": "A name, {name: momentum, beta: 0.9}, or a list of these.",
    "optimizers": "A name, {name: momentum, beta: 0.9}, or a list of these.",
    "start": "A point, a list of points, grid(50, 50) or random(32, seed=0) over the view window.",
    "noise": "Gradient errors: 0.1, relative(0.1), multiplicative(0.1), heavy_tailed(0.1), cycle(1, -1).",
}


def experiment_schema() -> Schema:
    """Return the schema of an experiment or a comparison."""
    shared = _Definitions()
    surfaces = _or_null(*_one_or_several({"$ref": "#/definitions/surface"}))
    optimizers = {"$ref": "#/definitions/optimizers"}
    noise = {"type": "number", "minimum": 0, "maximum": LARGEST}
    own: dict[str, Schema] = {
        "surface": surfaces,
        "surfaces": surfaces,
        "optimizer": optimizers,
        "optimizers": optimizers,
        "start": {"$ref": "#/definitions/start"},
        "noise": _or_null(noise, _call(_words(NOISE_MODELS))),
    }
    properties = {key: {"description": DESCRIPTIONS[key], **each} for key, each in own.items()}
    for parameter in (*SETTINGS.values(), *COMPARISON_SETTINGS.values()):
        properties[parameter.name] = {"description": parameter.doc, **_or_null(_single(parameter))}
    hyperparameters = {word: _any_of(each) for word, each in sorted(_by_word(shared).items()) if word not in properties}
    coordinate = {"type": "number", "minimum": -LARGEST, "maximum": LARGEST}
    point = {"type": "array", "items": coordinate, "minItems": 1}
    # The keys that a single experiment needs.
    experiment = {
        "allOf": [_given("surface"), {"anyOf": [_given("optimizer"), _given("optimizers")]}],
    }
    definitions = {
        "surface": _choice(SURFACES, shared),
        "optimizer": _choice(OPTIMIZERS, shared),
        "optimizers": _or_null(*_one_or_several({"$ref": "#/definitions/optimizer"})),
        "start": _or_null(
            coordinate, _call(_words(START_CALLS)), point, {"type": "array", "items": point, "minItems": 1}
        ),
        "axis": _call(_words(AXIS_CALLS)),
        "schedule": {"type": "string", "pattern": rf"^\s*({_words(SCHEDULES)})\s*\("},
        "tuned": {"type": "string", "pattern": TUNED},
        # A text that is not a plain name is an expression.
        "expression": {
            "type": "string",
            "anyOf": [{"not": {"pattern": f"^(?:{PLAIN_NAME.pattern})$"}}, {"pattern": VARIABLE.pattern}],
            "not": {"enum": _every_word(SURFACES)},
        },
        "expressed": _expressed(shared),
    }
    return {
        "$schema": DIALECT,
        "title": "momentumlab experiment",
        "description": "What 'momentumlab run', 'sweep', 'compare' and 'tune' read.",
        "type": "object",
        "properties": {**properties, **hyperparameters},
        "additionalProperties": NULL,
        "allOf": [
            _not_both("optimizer", "optimizers"),
            _not_both("surface", "surfaces"),
            *(_not_both(*pair) for pair in _synonyms(p for cls in OPTIMIZERS.values() for p in cls.parameters())),
            {"if": {"not": _is_comparison()}, "then": experiment},
        ],
        "definitions": {**definitions, **shared.schemas},
    }


class _Definitions:
    """Named schemas of parameters; equal ones are shared."""

    def __init__(self) -> None:
        self.schemas: dict[str, Schema] = {}

    def reference(self, parameter: Parameter, registry: Registry[Any]) -> Schema:
        """Return a reference to the values of a parameter: one, a list, or a call."""
        schema = _axis(parameter, registry)
        name = next((name for name, other in self.schemas.items() if other == schema), None)
        if name is None:
            plain = parameter.kind.name.lower()
            name = next(f"{plain}_{i}" for i in range(1, 1000) if f"{plain}_{i}" not in self.schemas)
            self.schemas[name] = schema
        return {"$ref": f"#/definitions/{name}"}


def _axis(parameter: Parameter, registry: Registry[Any]) -> Schema:
    if parameter.kind is ValueKind.SCHEDULE:
        factor: Schema = {"anyOf": [{"enum": [parameter.default]}, {"$ref": "#/definitions/schedule"}]}
        return _or_null(*_one_or_several(factor))
    single = _single(parameter)
    one, several = _one_or_several(single)
    if parameter.kind is not ValueKind.NUMBER:
        if parameter.name == "dialect":
            several["maxItems"] = 1
        return _or_null(one, several)
    follows = registry is OPTIMIZERS and not (parameter.shared or parameter.constant)
    schedule = [{"$ref": "#/definitions/schedule"}] if follows else []
    tuned = [{"$ref": "#/definitions/tuned"}] if registry is OPTIMIZERS else []
    several = {"type": "array", "items": _any_of([single, *schedule]), "minItems": 1}
    return _or_null(single, several, {"$ref": "#/definitions/axis"}, *schedule, *tuned)


def _single(parameter: Parameter) -> Schema:
    """Return the schema of one value of a parameter."""
    match parameter.kind:
        case ValueKind.FLAG:
            return {"type": "boolean"}
        case ValueKind.WORD:
            if parameter.choices and not parameter.is_path:
                return {"enum": [*parameter.choices]}
            return {"type": "string"} | ({"minLength": 1, "maxLength": parameter.longest} if parameter.longest else {})
        case ValueKind.NAMES:
            return {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    if parameter.name == "iterations":
        bounds = {"minimum": parameter.ge, "maximum": parameter.le}
        return {"anyOf": [{"type": "integer", **bounds}, {"type": "string", "pattern": r"^\s*\d{1,9}\s*epochs?\s*$"}]}
    number: Schema = {"type": "integer" if parameter.kind is ValueKind.COUNT else "number"}
    lowest, largest = (None, None) if parameter.kind is ValueKind.COUNT else (-LARGEST, LARGEST)
    bounds = {"minimum": lowest if parameter.gt is None and parameter.ge is None else parameter.ge}
    bounds |= {"maximum": largest if parameter.lt is None and parameter.le is None else parameter.le}
    bounds |= {"exclusiveMinimum": parameter.gt, "exclusiveMaximum": parameter.lt}
    number |= {key: bound for key, bound in bounds.items() if bound is not None}
    return {"type": "array", "items": number, "minItems": 1} if parameter.kind is ValueKind.VECTOR else number


def _by_word(shared: _Definitions) -> dict[str, list[Schema]]:
    """Return the possible values of each name of a hyperparameter."""
    found: dict[str, list[Schema]] = {}
    for cls in OPTIMIZERS.values():
        for parameter in cls.settings():
            for word in parameter.words:
                found.setdefault(word, []).append(shared.reference(parameter, OPTIMIZERS))
    return found


def _choice(registry: Registry[Any], shared: _Definitions) -> Schema:
    """Return the schema of an entry of a registry, given by its name only or with parameters."""
    entries = [{"$ref": f"#/definitions/{registry.noun}_{name}"} for name in registry]
    for name, cls in registry.items():
        parameters: tuple[Parameter, ...] = cls.settings() if registry is OPTIMIZERS else cls.parameters()
        if registry is SURFACES and cls.is_formula and not {each.name for each in parameters} & {*MOTION}:
            parameters += parameters_of(MovedSurface)
        entry = shared.schemas[f"{registry.noun}_{name}"] = {
            "description": title_of(cls),
            "type": "object",
            "properties": {
                "name": {"enum": [name, *registry.aliases(name)]},
                **{word: shared.reference(each, registry) for each in parameters for word in each.words},
            },
            "required": ["name"],
            "additionalProperties": False,
        }
        if pairs := _synonyms(parameters):
            entry["allOf"] = [_not_both(*pair) for pair in pairs]
    others: list[Schema] = []
    if registry is SURFACES:
        others = [{"$ref": "#/definitions/expression"}, {"$ref": "#/definitions/expressed"}]
    elif registry is OPTIMIZERS:  # those of other libraries, whose hyperparameters only the library knows
        given = {"type": "string", "pattern": r"^[\w.]+:\w+$"}
        others = [given, {"type": "object", "properties": {"name": given}, "required": ["name"]}]
    return {"anyOf": [{"enum": _every_word(registry)}, *entries, *others]}


def _expressed(shared: _Definitions) -> Schema:
    """An expression with a view and the values of its constants."""
    number = {"type": "number", "exclusiveMinimum": -1e100, "exclusiveMaximum": 1e100}
    interval = {"type": "array", "items": number, "minItems": 2, "maxItems": 2}
    constant = shared.reference(Parameter(name="constant"), SURFACES)
    view = _or_null(interval, {"type": "array", "items": interval, "minItems": 1})
    expression = {"$ref": "#/definitions/expression"}
    by_name = {"required": ["name"], "properties": {"name": expression, "expression": NULL}}
    by_key = {"required": ["expression"], "properties": {"expression": {"type": "string"}, "name": NULL}}
    return {
        "description": "An expression with a view and the values of its constants.",
        "type": "object",
        "properties": {
            "name": _or_null(expression),
            "expression": {"type": ["string", "null"], "pattern": r"\S"},
            "view": view,
        },
        "additionalProperties": constant,
        "anyOf": [by_name, by_key],
    }


def _every_word(registry: Registry[Any]) -> list[str]:
    return [word for name in registry for word in (name, *registry.aliases(name))]


def _words(registry: Registry[Any]) -> str:
    return "|".join(_every_word(registry))


def _call(names: str) -> Schema:
    return {"type": "string", "pattern": rf"^\s*({names})\s*\([^()]*\)\s*$"}


def _or_null(*schemas: Schema) -> Schema:
    """Null stands for the default."""
    return {"anyOf": [*schemas, NULL]}


def _any_of(schemas: Iterable[Schema]) -> Schema:
    different: list[Schema] = []
    for each in schemas:
        if each not in different:
            different.append(each)
    return different[0] if len(different) == 1 else {"anyOf": different}


def _one_or_several(schema: Schema) -> tuple[Schema, Schema]:
    return schema, {"type": "array", "items": schema, "minItems": 1}


def schema_text(schema: Any, indent: int = 0) -> str:
    """Return a schema as JSON in which every value that fits into 120 characters is on one line."""
    line = json.dumps(schema, ensure_ascii=False)
    if not isinstance(schema, (dict, list)) or len(line) + indent <= 110:
        return line
    opening, closing = "{}" if isinstance(schema, dict) else "[]"
    keys = (
        [f"{json.dumps(key, ensure_ascii=False)}: " for key in schema]
        if isinstance(schema, dict)
        else [""] * len(schema)
    )
    values = schema.values() if isinstance(schema, dict) else schema
    inner = [
        f"{' ' * (indent + 1)}{key}{schema_text(value, indent + 1)}" for key, value in zip(keys, values, strict=True)
    ]
    return "\n".join([opening, ",\n".join(inner), f"{' ' * indent}{closing}"])


def _given(key: str) -> Schema:
    """The key is present and not null."""
    return {"required": [key], "properties": {key: NOT_NULL}}


def _not_both(one: str, other: str) -> Schema:
    return {"anyOf": [{"properties": {one: NULL}}, {"properties": {other: NULL}}]}


def _synonyms(parameters: Iterable[Parameter]) -> list[tuple[str, str]]:
    """Return pairs of names of the same parameter, which must not be given together."""
    pairs = [(one, other) for p in parameters for i, one in enumerate(p.words) for other in p.words[i + 1 :]]
    return list(dict.fromkeys(pairs))


def _is_comparison() -> Schema:
    """A key that only comparisons have, or a value to tune."""
    tuned = {"$ref": "#/definitions/tuned"}
    others = dict.fromkeys((*SETTINGS, *DESCRIPTIONS), True)
    tunes: Schema = {"type": "object", "not": {"properties": others, "additionalProperties": {"not": tuned}}}
    entry = {"anyOf": [tunes, {"type": "array", "contains": tunes}]}
    return {
        "anyOf": [
            *map(_given, COMPARING),
            tunes,
            *({"required": [key], "properties": {key: entry}} for key in ("optimizer", "optimizers")),
        ]
    }
