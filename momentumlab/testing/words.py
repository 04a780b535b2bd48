"""Checks of the texts in which a class describes itself."""

from momentumlab.registry import title_of


def assert_titled(cls: type) -> None:
    """Check that the docstring begins with a title; a dataclass without a docstring has its signature there."""
    title = title_of(cls)
    assert title, "there is no docstring with a title in its first line"
    assert not title.startswith(f"{cls.__name__}("), "there is no docstring with a title in its first line"


def assert_texts(cls: type, *words: str) -> None:
    """Check that these attributes are non-empty text."""
    for word in words:
        text = getattr(cls, word)
        assert isinstance(text, str), f"{word} is not text"
        assert text.strip(), f"{word} is empty"
