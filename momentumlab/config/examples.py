"""The example configurations that are installed with the package."""

import itertools
import re
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from momentumlab.errors import ConfigError
from momentumlab.registry import did_you_mean

FOLDER = "share/momentumlab/configs"
"""Where the wheel puts the folder ``configs`` of the repository, below the prefix of the installation."""


SCHEMA_COMMENT = "# yaml-language-server:"


def examples() -> dict[str, Path]:
    """Return the example configurations by name, such as ``zoo/adam_uphill``."""
    repository = Path(__file__).parents[2]
    if (repository / "pyproject.toml").is_file() and (repository / "configs").is_dir():
        paths = {path: path.relative_to(repository / "configs") for path in repository.glob("configs/**/*.yaml")}
    else:
        try:
            installed = files("momentumlab") or []
        except PackageNotFoundError:
            installed = []
        paths = {
            Path(str(each.locate())): Path(str(each).partition(f"{FOLDER}/")[2])
            for each in installed
            if FOLDER in str(each)
        }
    return dict(sorted((path.with_suffix("").as_posix(), full) for full, path in paths.items()))


def example(name: str) -> str:
    """Return the text of an example configuration, without the reference to the repository's schema.

    Raises
    ------
    ConfigError
        If there is no such example.
    """
    known = examples()
    if name not in known:
        raise ConfigError.at(name, f"unknown example{did_you_mean(name, known)}; 'momentumlab examples' lists all")
    return "".join(line for line in _lines(known[name]) if not line.startswith(SCHEMA_COMMENT))


def summary(path: Path) -> str:
    """Return the first sentence of the comment at the beginning of a configuration."""
    lines = [line for line in _lines(path) if not line.startswith(SCHEMA_COMMENT)]
    comment = " ".join(line[1:].strip() for line in itertools.takewhile(lambda line: line.startswith("#"), lines))
    return re.split(r"(?<=[.?])\s", comment, maxsplit=1)[0]


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines(keepends=True)
