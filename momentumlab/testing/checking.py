"""Check an entry of a registry against all contracts, with one finding each."""

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
    """The outcome of one contract for one entry.

    Attributes
    ----------
    noun, name
        The entry: ``surface``, ``valley``.
    contract
        The name of the function that was called, in ``momentumlab.testing``.
    promise
        The contract in one sentence.
    problem
        What is wrong; ``None`` if nothing is.
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


def check(*what: str | os.PathLike[str] | type | object) -> "list[Finding]":
    """Test surfaces and optimizers against every contract of their kind.

    ``[each for each in check("my_lab.py") if not each.has_passed]``

    Parameters
    ----------
    *what
        Files of plug-ins, names, classes or instances of surfaces and optimizers.

    Returns
    -------
    findings
        One for each contract; its ``problem`` says what is wrong.

    Raises
    ------
    ConfigError
        If a file cannot be loaded or a name is unknown.
    """
    names = [str(getattr(each, "name", "") or os.fspath(each)) for each in what]  # type: ignore[arg-type]
    return [finding for noun, name in entries_of(names)[0] for finding in check_entry(noun, name)]


def entries_of(what: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the kind and name of everything to check, and notes on what is not checked.

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
        if word.endswith(".py") or Path(word).is_file():
            try:
                added = load_plugin(word).entries
            except ConfigError as error:
                problems += error.problems
                continue
            others = [f"{noun} {name}" for noun, name in added if noun not in CONTRACTS]
            if others:
                notes.append(f"{word}: only surfaces and optimizers are checked, not {', '.join(others)}")
            entries += [entry for entry in added if entry[0] in CONTRACTS]
            continue
        named: list[tuple[str, str]] = []
        for registry in (SURFACES, OPTIMIZERS):
            try:
                named.append((registry.noun, registry.canonical(word)))
            except UnknownNameError:
                continue
            except ConfigError as error:
                problems += error.problems
                break
        else:
            if not named:
                message = "is not a file, a surface or an optimizer; see 'momentumlab list surfaces'"
                problems.append(Problem(place=word, message=message))
        entries += named
    if problems:
        raise ConfigError(problems)
    return list(dict.fromkeys(entries)), notes


def check_entry(noun: str, name: str) -> Iterator[Finding]:
    """Check an entry against every contract of its registry, one after the other.

    Parameters
    ----------
    noun
        ``surface`` or ``optimizer``.
    name
        The name under which it is registered.
    """
    for contract in CONTRACTS[noun]:
        promise = " ".join((contract.__doc__ or "").replace("``", "").split("\n\n")[0].split())
        yield Finding(
            noun=noun, name=name, contract=contract.__name__, promise=promise, problem=_problem(contract, name)
        )


def _problem(contract: Callable[[str], None], name: str) -> str | None:
    try:
        with np.errstate(all="ignore"):
            contract(name)
    except (AssertionError, PluginError) as error:
        return str(error)
    except Exception as error:
        where = raised_at(error)
        if where is None:
            return f"its result cannot be used: {described(error)}"
        return f"{where}: {described(error)}"
    return None
