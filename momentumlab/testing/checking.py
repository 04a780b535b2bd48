"""Check registered classes against all contracts of their kind."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from momentumlab.errors import ConfigError, PluginError, Problem, UnknownNameError
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.plugins import described, load_plugin, raised_at
from momentumlab.surfaces import SURFACES
from momentumlab.testing.optimizers import OPTIMIZER_CONTRACTS
from momentumlab.testing.surfaces import SURFACE_CONTRACTS

CONTRACTS: dict[str, tuple[Callable[[str], None], ...]] = {
    "surface": SURFACE_CONTRACTS,
    "optimizer": OPTIMIZER_CONTRACTS,
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The outcome of one contract.

    Attributes
    ----------
    noun, name
        The class that was checked: ``surface``, ``valley``.
    contract
        Name of the contract, a function in ``momentumlab.testing``.
    promise
        The contract in one sentence.
    problem
        What is wrong; ``None`` if the contract holds.
    """

    noun: str
    name: str
    contract: str
    promise: str
    problem: str | None

    @property
    def has_passed(self) -> bool:
        """Whether the contract holds."""
        return self.problem is None


def check(*what: str | os.PathLike[str] | type | object) -> list[Finding]:
    """Check surfaces and optimizers against every contract of their kind.

    Parameters
    ----------
    *what
        Files of plug-ins, names, classes or instances of surfaces and optimizers.

    Returns
    -------
    findings
        One per contract; ``problem`` is ``None`` if it holds.

    Raises
    ------
    ConfigError
        If a file cannot be loaded or a name is unknown.
    """
    names = [str(getattr(each, "name", "") or os.fspath(each)) for each in what]  # type: ignore[arg-type]
    return [finding for noun, name in entries_of(names)[0] for finding in check_entry(noun, name)]


def entries_of(what: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the noun and name of every class to check, and notes on what is not checked.

    Parameters
    ----------
    what
        Files of plug-ins, which are loaded, and names of surfaces and optimizers.

    Raises
    ------
    ConfigError
        With every file that cannot be loaded and every unknown name.
    """
    entries: list[tuple[str, str]] = []
    problems: list[Problem] = []
    notes: list[str] = []
    for word in what:
        try:
            if word.endswith(".py") or Path(word).is_file():
                added = load_plugin(word).entries
                found = [entry for entry in added if entry[0] in CONTRACTS]
                if others := ", ".join(f"{noun} {name}" for noun, name in added if noun not in CONTRACTS):
                    notes.append(f"{word}: only surfaces and optimizers are checked, not {others}")
            else:
                found = []
                for registry in (SURFACES, OPTIMIZERS):
                    with contextlib.suppress(UnknownNameError):
                        found.append((registry.noun, registry.canonical(word)))
                if not found:
                    message = "is not a file, a surface or an optimizer; see 'momentumlab list surfaces'"
                    problems.append(Problem(place=word, message=message))
            entries += found
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return list(dict.fromkeys(entries)), notes


def check_entry(noun: str, name: str) -> Iterator[Finding]:
    """Check a registered class against every contract of its kind, one after the other.

    Parameters
    ----------
    noun
        ``surface`` or ``optimizer``.
    name
        The registered name.
    """
    for contract in CONTRACTS[noun]:
        problem = None
        try:
            with np.errstate(all="ignore"):
                contract(name)
        except (AssertionError, PluginError) as error:
            problem = str(error)
        except Exception as error:  # of the class itself
            place = raised_at(error)
            problem = f"{place}: {described(error)}" if place else f"its result cannot be used: {described(error)}"
        promise = (contract.__doc__ or "").replace("``", "")
        yield Finding(noun=noun, name=name, contract=contract.__name__, promise=promise, problem=problem)
