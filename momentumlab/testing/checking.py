"""All contracts of one entry of a catalogue, with a finding for each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from momentumlab.errors import PluginError
from momentumlab.plugins import described, raised_at
from momentumlab.testing.optimizers import OPTIMIZER_CONTRACTS
from momentumlab.testing.surfaces import SURFACE_CONTRACTS

CONTRACTS: dict[str, tuple[Callable[[str], None], ...]] = {
    "surface": SURFACE_CONTRACTS,
    "optimizer": OPTIMIZER_CONTRACTS,
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Whether an entry keeps one of its promises.

    Attributes
    ----------
    noun, name
        The entry: ``surface``, ``valley``.
    contract
        The name of the function that was called, in ``momentumlab.testing``.
    promise
        The same in a sentence.
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
        """Whether nothing is wrong."""
        return self.problem is None


def check(noun: str, name: str) -> Iterator[Finding]:
    """Hold an entry against every contract of its catalogue, one after the other.

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
            return f"what it gives cannot be used: {described(error)}"
        return f"{where}: {described(error)}"
    return None
