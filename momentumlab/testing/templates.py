"""Templates of plug-ins that satisfy all contracts, with their tests."""

import re
from pathlib import Path
from typing import Any

from momentumlab.errors import ConfigError
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.registry import Registry
from momentumlab.surfaces import SURFACES
from momentumlab.surfaces.base import VARIABLE

STARTERS = Path(__file__).parent / "starters"


def plugin_files(noun: str, path: Path) -> dict[Path, str]:
    """Return the text of a plug-in and of its tests, by path; the class is registered under the name of the file.

    Parameters
    ----------
    noun
        ``surface`` or ``optimizer``.
    path
        The path of the plug-in: ``my_lab.py``.

    Raises
    ------
    ConfigError
        If the file name does not end in .py, or is not a valid name for an entry.
    """
    catalogues: dict[str, Registry[Any]] = {"surface": SURFACES, "optimizer": OPTIMIZERS}
    name, catalogue = path.stem, catalogues[noun]
    problem = ""
    if path.suffix != ".py":
        problem = "a plug-in is a Python file: its name ends in .py"
    elif re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) is None or VARIABLE.search(name):
        problem = f"'{name}' is not a valid name for a {noun}: use letters, digits and _, a letter first, unlike x1"
    elif name in catalogue:
        problem = f"the name {noun} '{name}' is taken: choose another name for the file"
    if problem:
        raise ConfigError.at(str(path), problem)
    words = {"FILE": path.name, "NAME": name, "CLASS": "".join(map(str.capitalize, name.split("_")))}
    texts = {
        path: (STARTERS / f"{noun}.txt").read_text(encoding="utf-8"),
        path.with_name(f"test_{path.name}"): (STARTERS / f"test_{noun}.txt").read_text(encoding="utf-8"),
    }
    return {place: re.sub(r"\b(FILE|NAME|CLASS)\b", lambda word: words[word[0]], text) for place, text in texts.items()}
