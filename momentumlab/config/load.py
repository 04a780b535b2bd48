"""Where an experiment comes from: a file, a mapping, or an experiment that is to be changed."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from momentumlab.config.comparison import is_comparison, resolve_comparison
from momentumlab.config.dump import to_dict
from momentumlab.config.files import anchored
from momentumlab.config.needs import Need, read_needs, unmet
from momentumlab.config.overrides import override
from momentumlab.config.resolve import resolve
from momentumlab.config.tree import MAX_BYTES, Node, node_of, parse_setting, parse_yaml
from momentumlab.errors import ConfigError, Problem
from momentumlab.experiment import Comparison, Experiment

Source = str | os.PathLike[str] | Mapping[str, object] | Experiment | Comparison


def load_experiment(source: Source, settings: Iterable[Node] = ()) -> Experiment:
    """Read, override and check an experiment.

    Parameters
    ----------
    source
        The path of a YAML file, a mapping of the same shape, or an experiment.
    settings
        What to override; see `settings_from_text` and `momentumlab.config.overrides.override`.

    Raises
    ------
    ConfigError
        With every problem that was found.
    """
    loaded = load_either(source, settings)
    if isinstance(loaded, Comparison):
        message = "this is a comparison of optimizers, not a single experiment: use 'compare'"
        raise ConfigError([Problem(place=_place(source), message=message)])
    return loaded


def load_comparison(
    source: Source, settings: Iterable[Node] = (), *, defaults: Mapping[str, object] | None = None
) -> Comparison:
    """Read, override and check a comparison; parameters and errors as those of `load_experiment`.

    What is said of an experiment is a comparison when it is loaded as one: its axes are what is searched. The
    ``defaults`` are for what neither the source nor the settings say.
    """
    root, name, needed = _tree(source, settings)
    if isinstance(root.value, dict):
        own = {key: node_of(value, place=root.place, path=key) for key, value in (defaults or {}).items()}
        root = replace(root, value={**own, **root.value})
    with _naming_plugins(needed):
        return resolve_comparison(root, default_name=name)


def load_either(source: Source, settings: Iterable[Node] = ()) -> Experiment | Comparison:
    """Read, override and check what may be either; parameters and errors as those of `load_experiment`."""
    root, name, needed = _tree(source, settings)
    with _naming_plugins(needed):
        return resolve_comparison(root, name) if is_comparison(root) else resolve(root, name)


def load_text(text: str, place: str) -> Experiment | Comparison:
    """Check the text of a configuration that comes from elsewhere than a file of its own; ``place`` is where from.

    Raises
    ------
    ConfigError
        With every problem that was found.
    """
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise ConfigError([Problem(place=place, message=f"its experiment is larger than {MAX_BYTES:,} bytes")])
    root = parse_yaml(text, place)
    with _naming_plugins(read_needs(text, place)):
        return resolve_comparison(root, "experiment") if is_comparison(root) else resolve(root, "experiment")


@contextmanager
def _naming_plugins(needed: list[Need]) -> Iterator[None]:
    """Among the problems of a source, those plug-ins that it says it needs and that are not there."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError([*unmet(needed), *error.problems]) from None


def _tree(source: Source, settings: Iterable[Node]) -> tuple[Node, str, list[Need]]:
    """The values of a source with their overrides, the name that it suggests, and the plug-ins that it needs."""
    needed: list[Need] = []
    if isinstance(source, (Experiment, Comparison)):
        root, name = node_of(to_dict(source), place=source.name), source.name
    elif isinstance(source, Mapping):
        root, name = node_of(source, place="experiment"), "experiment"
    elif not isinstance(source, (str, os.PathLike)):
        message = f"an experiment is a path, a mapping or an Experiment, not {source!r}"
        raise ConfigError([Problem(place="experiment", message=message)])
    else:
        text = read_text(source)
        root, name, needed = parse_yaml(text, str(source)), Path(source).stem, read_needs(text, str(source))
        root = anchored(root, Path(source).parent)
    return anchored(override(root, settings), Path.cwd()), name[:100], needed


def _place(source: Source) -> str:
    """How a source is called in messages."""
    return str(source) if isinstance(source, (str, os.PathLike)) else "experiment"


def settings_from_text(settings: Mapping[str, tuple[str, str]]) -> list[Node]:
    """Overrides as they were typed.

    Parameters
    ----------
    settings
        By path (``surface.a``), the option that was used (``--set surface.a``) and the text of the value.

    Raises
    ------
    ConfigError
        With every text that cannot be read.
    """
    nodes: list[Node] = []
    problems: list[Problem] = []
    for path, (option, text) in settings.items():
        try:
            nodes.append(node_of(text, option, path) if path == "name" else parse_setting(text, option, path))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return nodes


def starter(path: str) -> str:
    """A commented configuration to begin with, for a file at that path."""
    text = (Path(__file__).parent / "starter.yaml").read_text(encoding="utf-8")
    return text.replace("FILE", path)


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a configuration file.

    Raises
    ------
    ConfigError
        If it cannot be read, is too large, or is no UTF-8 text.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else (error.strerror or str(error)).lower()
        raise ConfigError([Problem(place=str(path), message=reason)]) from None
    except ValueError as error:  # a NUL in the path
        raise ConfigError([Problem(place=repr(os.fspath(path)), message=str(error))]) from None
    if len(content) > MAX_BYTES:
        raise ConfigError([Problem(place=str(path), message=f"larger than {MAX_BYTES:,} bytes")])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"not a text file: byte {error.start} is not UTF-8"
        raise ConfigError([Problem(place=str(path), message=message)]) from None
