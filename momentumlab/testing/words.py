"""What is asked of the words in which a class describes itself."""

from momentumlab.registry import title_of


def assert_titled(cls: type) -> None:
    """A docstring whose first line is a title; a dataclass without one has its signature in that place."""
    title = title_of(cls)
    assert title, "there is no docstring, whose first line would be the title"
    assert not title.startswith(f"{cls.__name__}("), "there is no docstring, whose first line would be the title"


def assert_texts(cls: type, *words: str) -> None:
    """These attributes are text, and not empty."""
    for word in words:
        text = getattr(cls, word)
        assert isinstance(text, str), f"{word} is not text"
        assert text.strip(), f"{word} is empty"
