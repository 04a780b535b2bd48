"""Load experiments and comparisons from files, mappings or other experiments."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from momentumlab.config.configuration import Configuration, override
from momentumlab.config.dump import to_dict
from momentumlab.config.requirements import Requirement, read_requirements, unmet
from momentumlab.config.resolve import resolve
from momentumlab.config.resolve_comparison import is_comparison, resolve_comparison
from momentumlab.config.yaml_reader import MAX_BYTES, ConfigNode, node_of, parse_setting, parse_yaml
from momentumlab.errors import ConfigError, Problems, os_reason, printable
from momentumlab.experiment import Comparison, Experiment
from momentumlab.registry import did_you_mean

Source = str | os.PathLike[str] | Mapping[str, object] | Experiment | Comparison


def load_experiment(source: Source, settings: Iterable[ConfigNode] = (), *, patience: int = 1) -> Experiment:
    """Read, override and check an experiment.

    Parameters
    ----------
    source
        The path of a YAML file, a mapping of the same shape, or an experiment.
    settings
        The overrides; see `settings_from_text` and `momentumlab.config.configuration.override`.
    patience
        The patience of the tolerance if none is set.

    Raises
    ------
    ConfigError
        With every problem.
    """
    loaded = load_either(source, settings, patience=patience)
    if isinstance(loaded, Comparison):
        message = "this is a comparison of optimizers, not a single experiment: use 'compare'"
        raise ConfigError.at(_place(source), message)
    return loaded


def load_comparison(
    source: Source, settings: Iterable[ConfigNode] = (), *, defaults: Mapping[str, object] | None = None
) -> Comparison:
    """Read, override and check a comparison; see `load_experiment`.

    An experiment can be loaded as a comparison: its axes are then searched. The ``defaults`` apply to what neither the
    source nor the settings set.
    """
    configuration, name, requirements = _read(source, settings)
    place = configuration.root.place
    own = {key: node_of(value, place=place, path=key) for key, value in (defaults or {}).items()}
    with _naming_plugins(requirements):
        return resolve_comparison(replace(configuration, settings={**own, **configuration.settings}), name)


def load_either(source: Source, settings: Iterable[ConfigNode] = (), *, patience: int = 1) -> Experiment | Comparison:
    """Read, override and check an experiment or a comparison; see `load_experiment`."""
    configuration, name, requirements = _read(source, settings)
    with _naming_plugins(requirements):
        if is_comparison(configuration):
            return resolve_comparison(configuration, name)
        return resolve(configuration, name, patience=patience)


def load_text(text: str, place: str, *, folder: Path | None = None) -> Experiment | Comparison:
    """Check the text of a configuration.

    Parameters
    ----------
    text
        The configuration.
    place
        Its origin in messages.
    folder
        The folder to which paths of data files are relative; by default the current one.

    Raises
    ------
    ConfigError
        With every problem.
    """
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise ConfigError.at(place, f"the experiment is larger than {MAX_BYTES:,} bytes")
    configuration = Configuration.of(parse_yaml(text, place, folder=folder))
    with _naming_plugins(read_requirements(text, place)):
        resolved = resolve_comparison if is_comparison(configuration) else resolve
        return resolved(configuration, "experiment")


@contextmanager
def _naming_plugins(requirements: Sequence[Requirement]) -> Iterator[None]:
    """Report required plug-ins that are not loaded among the problems of a source."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError([*unmet(requirements), *error.problems]) from None


def _read(source: Source, settings: Iterable[ConfigNode]) -> tuple[Configuration, str, list[Requirement]]:
    """Return the configuration of a source with overrides, the default name, and the required plug-ins."""
    requirements: list[Requirement] = []
    if isinstance(source, (Experiment, Comparison)):
        root, name = node_of(to_dict(source), place=source.name), source.name
    elif isinstance(source, Mapping):
        root, name = node_of(source, place="experiment"), "experiment"
    elif not isinstance(source, (str, os.PathLike)):
        raise ConfigError.at("experiment", f"an experiment is a path, a mapping or an Experiment, not {source!r}")
    else:
        text = read_text(source)
        root = parse_yaml(text, str(source), folder=Path(source).parent)
        name, requirements = Path(source).stem, read_requirements(text, str(source))
    settings = list(settings)
    if root.value is None and settings:  # overrides may describe all of the experiment
        root = replace(root, value={})
    return override(Configuration.of(root), settings), name[:100], requirements


def _place(source: Source) -> str:
    """Return the name of a source in messages."""
    return str(source) if isinstance(source, (str, os.PathLike)) else "experiment"


def settings_from_text(settings: Mapping[str, tuple[str, str]]) -> list[ConfigNode]:
    """Return the nodes of overrides that were typed.

    Parameters
    ----------
    settings
        The option (``--set surface.a``) and the text of the value by path (``surface.a``).

    Raises
    ------
    ConfigError
        With every text that cannot be read.
    """
    nodes: list[ConfigNode] = []
    problems = Problems()
    for path, (option, text) in settings.items():
        with problems.collecting():
            nodes.append(node_of(text, option, path) if path == "name" else parse_setting(text, option, path))
    problems.check()
    return nodes


def starter(path: str) -> str:
    """Return a commented starter configuration for a file at that path."""
    text = (Path(__file__).parent / "starter.yaml").read_text(encoding="utf-8")
    return text.replace("FILE", printable(path))


def read_text(path: str | os.PathLike[str]) -> str:
    """Return the text of a configuration file.

    Raises
    ------
    ConfigError
        If it cannot be read, is too large, or is not UTF-8 text.
    """
    try:
        with Path(path).open("rb") as file:  # not stat(): a pipe has no size, and a device has no end
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        folder = Path(path).parent
        names = [file.name for file in folder.iterdir() if file.suffix == ".yaml"] if folder.is_dir() else []
        raise ConfigError.at(str(path), os_reason(error) + did_you_mean(Path(path).name, names)) from None
    except OSError as error:
        raise ConfigError.at(str(path), os_reason(error)) from None
    except ValueError as error:  # a NUL in the path
        raise ConfigError.at(repr(os.fspath(path)), str(error)) from None
    if len(content) > MAX_BYTES:
        raise ConfigError.at(str(path), f"larger than {MAX_BYTES:,} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"not a text file: byte {error.start} is not UTF-8"
        raise ConfigError.at(str(path), message) from None
