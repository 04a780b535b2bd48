"""What the catalogues of surfaces and optimizers share: declared parameters, and a registry of classes by name.

A class declares each of its parameters once, with its default, bounds and meaning; validation, ``list``, ``show``
and the documentation are all made from that declaration.
"""

import dataclasses
import difflib
import inspect
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from momentumlab.errors import DeclarationError, PluginWarning, UnknownNameError

Array = NDArray[np.float64]

Real = Array
"""A parameter of a class: one number per lane, shape ``(lanes,)``, or a single number; both broadcast alike."""

Value = float | bool | str | tuple[float, ...]
"""One value of a parameter: a number, a flag, a word, or a vector such as the eigenvalues of a quadratic."""

ENTRY_NAME = re.compile(r"[A-Za-z]\w*")

Entry = TypeVar("Entry")
Holder = TypeVar("Holder")


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """The declaration of one number, flag, word or vector of a surface or an optimizer.

    Attributes
    ----------
    gt, ge, lt, le
        Bounds of a number, or of every number of a vector.
    choices
        The words that are allowed.
    optax
        The default in the dialect of optax, where it differs.
    shared
        All lanes of a batch have the same value. So for flags, words and vectors, and for numbers that shape the whole
        computation; any other number may differ from lane to lane.
    required
        There is no default that makes sense: a person must say it.
    constant
        Why it must not change in the course of a run; empty if it may follow a schedule.
    is_path
        It names a file, relative to the folder of the configuration that says so, or one of the ``choices``.
    """

    name: str
    default: Value
    doc: str
    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    optax: Value | None = None
    shared: bool = False
    required: bool = False
    constant: str = ""
    is_path: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """All names by which a person may give it."""
        return (self.name, *self.aliases)

    @property
    def is_optional(self) -> bool:
        """Whether the default leaves the term out: a weight decay of zero, a flag that is off, the usual variant."""
        return not self.default or bool(self.choices)

    def default_in(self, dialect: str) -> Value:
        """The default in a dialect: optax's own, or else the common one."""
        return self.optax if dialect == "optax" and self.optax is not None else self.default

    @property
    def kind(self) -> type:
        """``float``, ``bool``, ``str`` or ``tuple``."""
        return type(self.default)

    @property
    def bounds(self) -> str:
        """The bounds as people write them, ``0 ≤ beta < 1``; empty where every finite value will do."""
        if self.choices:
            return " or ".join([*self.choices, *(["a path"] if self.is_path else [])])
        lower = f"{self.gt:g} < " if self.gt is not None else f"{self.ge:g} ≤ " if self.ge is not None else ""
        upper = f" < {self.lt:g}" if self.lt is not None else f" ≤ {self.le:g}" if self.le is not None else ""
        return f"{lower}{self.name}{upper}" if lower or upper else ""


def parameter(
    default: Value,
    *,
    doc: str,
    gt: float | None = None,
    ge: float | None = None,
    lt: float | None = None,
    le: float | None = None,
    choices: tuple[str, ...] = (),
    aliases: tuple[str, ...] = (),
    optax: Value | None = None,
    shared: bool = False,
    required: bool = False,
    constant: str = "",
    is_path: bool = False,
) -> Any:
    """Declare a dataclass field as a parameter (see `Parameter`). Typed as `dataclasses.field` is: ``Any``."""
    declared = {
        "doc": doc,
        "gt": gt,
        "ge": ge,
        "lt": lt,
        "le": le,
        "choices": choices,
        "aliases": aliases,
        "optax": optax,
        "shared": shared or not isinstance(default, float),
        "required": required,
        "constant": constant,
        "is_path": is_path,
    }
    return dataclasses.field(default=default, metadata={"parameter": declared})


def parameters_of(cls: type) -> tuple[Parameter, ...]:
    """All parameters that a catalogue's class declares, in the order of their declaration."""
    return tuple(
        Parameter(name=field.name, default=cast(Value, field.default), **field.metadata["parameter"])
        for field in dataclasses.fields(cls)
        if "parameter" in field.metadata
    )


def take_lanes(holder: Holder, lanes: Any) -> Holder:
    """The same surface, optimizer or optimizer's state with only some of its lanes.

    Lanes are the last axis of every array, everywhere; whatever has no axis belongs to all lanes and is kept.

    Parameters
    ----------
    holder
        A dataclass or a ``NamedTuple``.
    lanes
        Whatever indexes the last axis: a mask, indices, a slice.
    """

    def taken(value: Any) -> Any:
        return np.ascontiguousarray(value[..., lanes]) if isinstance(value, np.ndarray) and value.ndim else value

    if isinstance(holder, tuple):
        return type(holder)(*map(taken, holder))
    fields = dataclasses.fields(cast(Any, holder))
    return type(holder)(**{field.name: taken(getattr(holder, field.name)) for field in fields})


def put_lanes(holder: Holder, lanes: NDArray[np.intp], fresh: Holder) -> Holder:
    """The same with other values in some of its lanes; arrays that nobody else can have are changed in place.

    Parameters
    ----------
    holder
        A dataclass or a ``NamedTuple``; it is not to be used again.
    lanes
        The numbers of the lanes.
    fresh
        The same kind, with as many lanes as are to be replaced.
    """
    seen: set[int] = set()

    def put(value: Any, values: Any) -> Any:
        if not isinstance(value, np.ndarray) or value.ndim == 0:
            return value
        is_own = value.flags.writeable and value.base is None and id(value) not in seen
        seen.add(id(value))
        value = value if is_own else value.copy()
        value[..., lanes] = values
        return value

    if isinstance(holder, tuple):
        return type(holder)(*map(put, holder, cast("tuple[Any, ...]", fresh)))
    fields = [field.name for field in dataclasses.fields(cast(Any, holder))]
    return type(holder)(**{name: put(getattr(holder, name), getattr(fresh, name)) for name in fields})


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'momentum'?)`` where a known name is near, else nothing."""
    near = difflib.get_close_matches(name.lower(), sorted(known), n=1, cutoff=0.6)
    return f" (did you mean '{near[0]}'?)" if near else ""


class Registry(Mapping[str, type[Entry]]):
    """Classes by name. A class enters it by the decorator above it, and nowhere else.

    Parameters
    ----------
    noun
        What the entries are, for messages: ``"surface"``.
    demands
        The class attributes that every entry must have.
    group
        The entry points by which installed packages add to the catalogue. They are looked up when a name is not found,
        and when all entries are asked for: to look costs time.
    """

    def __init__(self, noun: str, *, demands: tuple[str, ...] = (), group: str | None = None) -> None:
        self.noun = noun
        self.demands = demands
        self._group = group
        self._classes: dict[str, type[Entry]] = {}
        self._aliases: dict[str, str] = {}

    def register(self, name: str, cls: type[Entry], aliases: tuple[str, ...] = ()) -> None:
        """Add a class under its name and aliases.

        Raises
        ------
        DeclarationError
            If one of the names is taken or could not be written in a configuration, or the class is not complete.
        """
        for word in (name, *aliases):
            if not isinstance(word, str) or ENTRY_NAME.fullmatch(word) is None:
                raise DeclarationError(f"the {self.noun} name {word!r} is not letters, digits and _, a letter first")
            if word in self._classes or word in self._aliases:
                raise DeclarationError(f"the {self.noun} name '{word}' is taken: choose another")
        if problems := "; ".join(self._lacking(cls)):
            raise DeclarationError(f"the {self.noun} {cls.__name__} is not complete: {problems}")
        self._classes[name] = cls
        self._aliases.update(dict.fromkeys(aliases, name))

    def _lacking(self, cls: type[Entry]) -> Iterator[str]:
        """What a class must have and does not."""
        if methods := sorted(getattr(cls, "__abstractmethods__", ())):
            yield f"it has no {' and no '.join(methods)}"
        if attributes := [name for name in self.demands if not hasattr(cls, name)]:
            yield f"say its {' and its '.join(attributes)}"
        fields = [name for name, value in vars(cls).items() if isinstance(value, dataclasses.Field)]
        if fields or not dataclasses.is_dataclass(cls):
            yield f"write @dataclass(frozen=True, kw_only=True) between @{self.noun}(…) and the class"

    def forget(self, name: str) -> None:
        """Remove an entry and its aliases."""
        del self._classes[name]
        self._aliases = {alias: target for alias, target in self._aliases.items() if target != name}

    def load_installed(self) -> None:
        """Let installed packages add what they have; one that cannot be loaded leaves a `PluginWarning`."""
        if self._group is None:
            return
        from importlib.metadata import entry_points

        group, self._group = self._group, None
        for point in entry_points(group=group):
            try:
                point.load()
            except (Exception, SystemExit) as error:
                package = point.dist.name if point.dist else "?"
                reason = f"{type(error).__name__}: {error}"
                message = f"the installed plug-in '{point.name}' ({point.value}) of {package} is left out: {reason}"
                warnings.warn(message, PluginWarning, stacklevel=2)

    def canonical(self, name: str) -> str:
        """The entry's own name, given that or an alias.

        Raises
        ------
        UnknownNameError
            With a suggestion, if there is no such entry.
        """
        if name in self._classes:
            return name
        if name in self._aliases:
            return self._aliases[name]
        if self._group is not None:
            self.load_installed()
            return self.canonical(name)
        hint = did_you_mean(name, [*self._classes, *self._aliases])
        raise UnknownNameError(f"unknown {self.noun} '{name}'{hint}; 'momentumlab list {self.noun}s' shows them all")

    def __getitem__(self, name: str) -> type[Entry]:
        return self._classes[self.canonical(name)]

    def __contains__(self, name: object) -> bool:
        return name in self._classes or name in self._aliases

    def __iter__(self) -> Iterator[str]:
        return iter(self._classes)

    def __len__(self) -> int:
        return len(self._classes)

    def aliases(self, name: str) -> tuple[str, ...]:
        """The other names of an entry."""
        return tuple(alias for alias, target in self._aliases.items() if target == name)


def title_of(cls: type) -> str:
    """The first line of a class's docstring."""
    return (inspect.getdoc(cls) or "").partition("\n")[0]


def explanation_of(cls: type) -> str:
    """What follows the first line of a class's docstring."""
    return (inspect.getdoc(cls) or "").partition("\n")[2].strip()
