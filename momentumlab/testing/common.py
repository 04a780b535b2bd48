"""Parts that the contracts of surfaces and optimizers share."""

from typing import Any

from momentumlab.optimizers import Optimizer
from momentumlab.parameters import Parameter, ValueKind
from momentumlab.registry import title_of
from momentumlab.surfaces import Surface


def assert_documented(cls: type[Surface] | type[Optimizer[Any]], *attributes: str) -> None:
    """Check that a class has a title, texts in these attributes, and a description of every parameter."""
    title = title_of(cls)  # a dataclass without a docstring has its signature there
    assert title, "there is no docstring with a title in its first line"
    assert not title.startswith(f"{cls.__name__}("), "there is no docstring with a title in its first line"
    for attribute in attributes:
        text = getattr(cls, attribute)
        assert isinstance(text, str), f"{attribute} is not text"
        assert text.strip(), f"{attribute} is empty"
    for parameter in cls.parameters():
        assert parameter.doc, f"the parameter {parameter.name} has no doc"


def other_values(parameter: Parameter) -> list[Any]:
    """Return one or two valid values of a parameter other than its default."""
    default = parameter.default
    if isinstance(default, bool):
        return [not default]
    if isinstance(default, str):
        return [choice for choice in parameter.choices if choice != default]
    if isinstance(default, tuple):
        return [tuple(0.5 * value + 0.1 for value in default)]
    if parameter.kind is ValueKind.COUNT:
        return [default + 1]
    upper = [0.4 * bound for bound in (parameter.lt, parameter.le) if bound is not None]
    candidates = [default / 3, 2 * default] if default else upper or [3.0, 60.0]
    return [value for value in candidates if parameter.allows(value)]
