"""The check of the texts in which a class describes itself, common to surfaces and optimizers."""

from typing import Any

from momentumlab.optimizers import Optimizer
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
