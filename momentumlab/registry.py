"""Declared parameters, and registries of classes by name.

Surfaces, optimizers, schedules, noise models, data sets and conventions declare each of their parameters once, with its
default, bounds and meaning. Validation, ``list``, ``show``, the JSON schema and the documentation use that declaration.
"""

import dataclasses
import difflib
import importlib
import inspect
import itertools
import math
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
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

MAX_COUNT = 10**9
"""The largest whole number of a parameter without an upper bound of its own."""

Entry = TypeVar("Entry")
Class = TypeVar("Class", bound=type[Any])


class ValueKind(Enum):
    """The type of a parameter's value, in words."""

    NUMBER = "a number"
    COUNT = "a whole number"
    FLAG = "true or false"
    WORD = "text"
    VECTOR = "a list of numbers"
    NAMES = "a list of names"
    STEPS = "a mapping such as {0: 0.9, 50: 0.5}"
    SCHEDULE = "a number or a schedule"
    DURATION = "a whole number, or a share below 1"


KIND_OF_TYPE = {
    float: ValueKind.NUMBER,
    int: ValueKind.COUNT,
    bool: ValueKind.FLAG,
    str: ValueKind.WORD,
    tuple: ValueKind.VECTOR,
}


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """The declaration of one parameter.

    Attributes
    ----------
    kind
        The type of its value.
    default
        The value if none is given; ``None`` if there is no sensible default.
    gt, ge, lt, le
        Bounds of a number, or of every number of a vector.
    longest
        The largest number of characters of a text.
    choices
        The allowed words.
    aliases
        Other names that are accepted.
    optax
        The default in optax's dialect if it differs.
    shared
        All lanes of a batch have the same value. This holds for flags, words and vectors, and for numbers that shape
        the whole computation; other numbers may differ from lane to lane.
    required
        A value must be given.
    constant
        Why the value must not change during a run; empty if it may follow a schedule.
    is_path
        A file, relative to the folder of the configuration, or one of the ``choices``.
    by_name
        The canonical spelling of a call names this argument.
    is_variadic
        Takes all remaining positional arguments of a call.
    """

    name: str
    kind: ValueKind = ValueKind.NUMBER
    default: Any = None
    doc: str = ""
    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    longest: int | None = None
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    optax: Value | None = None
    shared: bool = False
    required: bool = False
    constant: str = ""
    is_path: bool = False
    by_name: bool = False
    is_variadic: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """All accepted names."""
        return (self.name, *self.aliases)

    @property
    def is_optional(self) -> bool:
        """Whether the default leaves a term out: a weight decay of zero, a flag that is off, the usual variant."""
        return not self.default or bool(self.choices)

    def default_in(self, dialect: str) -> Any:
        """Return optax's default in the dialect ``optax`` if there is one, else the common default."""
        return self.optax if dialect == "optax" and self.optax is not None else self.default

    @property
    def bounds(self) -> str:
        """The bounds in mathematical notation, ``0 ≤ beta < 1``; empty if every finite value is allowed."""
        if self.choices:
            return " or ".join([*self.choices, *(["a path"] if self.is_path else [])])
        lower = [f"{_bound(bound)} {sign} " for bound, sign in ((self.gt, "<"), (self.ge, "≤")) if bound is not None]
        upper = [f" {sign} {_bound(bound)}" for bound, sign in ((self.lt, "<"), (self.le, "≤")) if bound is not None]
        return "".join([*lower[:1], self.name, *upper[:1]]) if lower or upper else ""

    def allows(self, value: float) -> bool:
        """Whether a number is finite and within the bounds."""
        return bool(
            math.isfinite(value)
            and (self.gt is None or value > self.gt)
            and (self.ge is None or value >= self.ge)
            and (self.lt is None or value < self.lt)
            and (self.le is None or value <= self.le)
        )

    def number(self, value: object) -> float:
        """Return a value as a float within the bounds.

        Raises
        ------
        ValueError
            If it is not a finite number within the bounds.
        """
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{spelled(value)} is not {self.kind.value}")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise ValueError(f"{spelled(value)} is not a finite number")
        if self.kind is ValueKind.COUNT and number != int(number):
            raise ValueError(f"{spelled(value)} is not a whole number")
        if self.kind is ValueKind.DURATION and number > 1 and number != int(number):
            raise ValueError(f"{spelled(value)} is neither a whole number nor a share below 1")
        if not self.allows(number):
            raise ValueError(f"{spelled(value)} is outside {self.bounds}")
        return number

    def checked(self, value: object) -> Any:
        """Return a value in its proper type.

        Parameters
        ----------
        value
            Plain data; lists and tuples are equivalent, the items of a mapping are pairs.

        Raises
        ------
        ValueError
            If the value is of another kind or out of bounds. The message begins with the value.
        """
        match self.kind:
            case ValueKind.NUMBER | ValueKind.SCHEDULE:
                return self.number(value)
            case ValueKind.COUNT | ValueKind.DURATION:
                number = self.number(value)
                return number if 0 < number < 1 else int(cast(float, value))
            case ValueKind.FLAG:
                if not isinstance(value, bool):
                    raise ValueError(f"{spelled(value)} is neither true nor false")
            case ValueKind.WORD:
                self._check_word(value)
            case ValueKind.VECTOR:
                if not isinstance(value, (list, tuple)):
                    raise ValueError(f"{spelled(value)} is not a list of numbers")
                if not value:
                    raise ValueError("an empty list has no values")
                return tuple(map(self.number, value))
            case ValueKind.NAMES:
                names = value if isinstance(value, (list, tuple)) else [value]
                if not all(isinstance(name, str) for name in names):
                    raise ValueError(f"{spelled(value)} is not a list of names")
                return ",".join(map(str, names))
            case ValueKind.STEPS:
                return _steps(value)
        return value

    def _check_word(self, value: object) -> None:
        if not isinstance(value, str):
            raise ValueError(f"{spelled(value)} is not text")
        if self.choices and not self.is_path and value not in self.choices:
            raise ValueError(f"'{value}' is not {' or '.join(self.choices)}{did_you_mean(value, self.choices)}")
        if self.longest is not None and not value:
            raise ValueError("is empty")
        if self.longest is not None and len(value) > self.longest:
            raise ValueError(f"is longer than {self.longest} characters")


def _bound(number: float) -> str:
    return f"{int(number):,}" if 1e4 <= abs(number) < 1e16 and number == int(number) else f"{number:g}"


def _steps(value: object) -> tuple[tuple[int, float], ...]:
    """Return pairs of an iteration and a value; the iterations begin with 0 and increase."""
    if not isinstance(value, Mapping) or not value:
        raise ValueError(f"{spelled(value)} is not {ValueKind.STEPS.value}")
    time, number = Parameter(name="key", kind=ValueKind.COUNT, ge=0, le=MAX_COUNT), Parameter(name="value")
    pairs = tuple((time.checked(key), number.number(item)) for key, item in value.items())
    times = [key for key, _ in pairs]
    if times[0] != 0 or any(later <= earlier for earlier, later in itertools.pairwise(times)):
        raise ValueError(f"{spelled(value)} is not {ValueKind.STEPS.value}: the keys must begin with 0 and increase")
    return pairs


def parameter(
    default: Any = None,
    *,
    doc: str,
    kind: ValueKind | None = None,
    shared: bool = False,
    required: bool = False,
    **declared: Any,
) -> Any:
    """Declare a dataclass field as a parameter. Typed ``Any``, as `dataclasses.field` is.

    Parameters
    ----------
    default
        The value if none is given; without it the parameter is required.
    doc
        Its meaning in a line.
    kind
        The type of its value; by default that of ``default``. An integer is a count only if the field is annotated with
        ``int``: hyperparameters such as ``parameter(2, ge=0)`` are numbers.
    shared, required, **declared
        See `Parameter`.
    """
    metadata = {"doc": doc, "kind": kind, "shared": shared, "required": required or default is None, **declared}
    unknown = metadata.keys() - {field.name for field in dataclasses.fields(Parameter)}
    if unknown:
        raise DeclarationError(f"parameter() has no argument '{min(unknown)}'")
    if default is None:
        return dataclasses.field(metadata={"parameter": metadata})
    return dataclasses.field(default=default, metadata={"parameter": metadata})


def parameters_of(cls: type) -> tuple[Parameter, ...]:
    """Return the parameters that a class declares, in the order of their declaration."""
    return tuple(_declared(field) for field in dataclasses.fields(cls) if "parameter" in field.metadata)


def _declared(field: dataclasses.Field[Any]) -> Parameter:
    metadata = dict(field.metadata["parameter"])
    default = None if field.default is dataclasses.MISSING else field.default
    if type(default) is int and metadata["kind"] is None and field.type not in (int, "int"):
        default = float(default)
    metadata["kind"] = metadata["kind"] or KIND_OF_TYPE.get(type(default), ValueKind.NUMBER)
    metadata["shared"] = metadata["shared"] or metadata["kind"] is not ValueKind.NUMBER
    return Parameter(name=field.name, default=default, **metadata)


def spelled(value: object) -> str:
    """Return a value as it would be written in a configuration, shortened to 60 characters."""
    if isinstance(value, str):
        text = f"'{value}'"
    elif value is None:
        text = "null"
    elif isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, float):
        text = f"{value:g}" if float(f"{value:g}") == value else repr(value)
    elif isinstance(value, int) and abs(value) >= 10**60:  # Python refuses to print very long ones
        text = "a number of more than 60 digits"
    else:
        text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'momentum'?)`` if a known name is similar, else an empty string."""
    by_lower_case = {word.lower(): word for word in sorted(known)}
    lower = name.lower()[:100]
    near = sorted(difflib.get_close_matches(lower, by_lower_case, n=3, cutoff=0.6))
    if not near:
        return ""
    nearest = max(near, key=lambda word: difflib.SequenceMatcher(None, word, lower).ratio())
    return f" (did you mean '{by_lower_case[nearest]}'?)"


class Registry(Mapping[str, type[Entry]]):
    """Classes by name; names are found in any case.

    A decorator such as ``@surface("ravine")`` registers the decorated class. The families of the package are imported
    when one of their names is used (see `declare`), the modules of installed plug-ins when a name is not found or all
    entries are listed.

    Parameters
    ----------
    noun
        What an entry is, for messages: ``"surface"``.
    listed_as
        The word for all of them, for ``momentumlab list``: ``"surfaces"``.
    required
        The class attributes that every entry must have.
    group
        The entry-point group of installed plug-ins.
    """

    def __init__(
        self, noun: str, *, listed_as: str = "", required: tuple[str, ...] = (), group: str | None = None
    ) -> None:
        self.noun = noun
        self.listed_as = listed_as or f"{noun}s"
        self.required = required
        self._group = self._installed_group = group
        self._classes: dict[str, type[Entry]] = {}
        self._aliases: dict[str, str] = {}
        self._modules: dict[str, str] = {}

    def declare(self, package: str, families: Mapping[str, Iterable[str]]) -> None:
        """Declare the names and aliases of each module of a package, which is imported when one of them is used."""
        for module, names in families.items():
            self._modules.update(dict.fromkeys(names, f"{package}.{module}"))

    def entry(self, name: str, *, aliases: tuple[str, ...] = (), **attributes: Any) -> Callable[[Class], Class]:
        """Return a decorator that registers a class under a name, which becomes its attribute ``name``.

        Parameters
        ----------
        name, aliases
            See `register`.
        **attributes
            Further attributes of the class.
        """

        def registered(cls: Class) -> Class:
            for key, value in {"name": name, **attributes}.items():
                setattr(cls, key, value)
            self.register(name, cls, aliases)
            return cls

        return registered

    def register(self, name: str, cls: type[Entry], aliases: tuple[str, ...] = ()) -> None:
        """Add a class under its name and aliases.

        A class that is defined again in a notebook or in ``__main__`` replaces the old one.

        Raises
        ------
        DeclarationError
            If a name is taken or could not be written in a configuration, or the class is incomplete.
        """
        for word in (name, *aliases):
            if not isinstance(word, str) or ENTRY_NAME.fullmatch(word) is None:
                raise DeclarationError(f"invalid {self.noun} name {word!r}: use letters, digits and _, a letter first")
            # The name may belong to this class already: a family declares its names before it is imported, and a cell
            # of a notebook defines its class again.
            known = self._classes.get(self._aliases.get(word, word))
            is_free = (
                self._modules.get(word, cls.__module__) == cls.__module__ if known is None else _replaces(cls, known)
            )
            if not is_free:
                raise DeclarationError(f"the {self.noun} name '{word}' is taken: choose another")
        if problems := "; ".join(self._missing(cls)):
            raise DeclarationError(f"the {self.noun} {cls.__name__} is incomplete: {problems}")
        if name in self._classes:
            self.forget(name)
        self._classes[name] = cls
        self._aliases.update(dict.fromkeys(aliases, name))

    def _missing(self, cls: type[Entry]) -> Iterator[str]:
        """Yield what a class lacks."""
        if methods := sorted(getattr(cls, "__abstractmethods__", ())):
            yield f"define {' and '.join(methods)}"
        if attributes := [name for name in self.required if not hasattr(cls, name)]:
            yield f"set {' and '.join(attributes)}"
        fields = [name for name, value in vars(cls).items() if isinstance(value, dataclasses.Field)]
        if fields or not dataclasses.is_dataclass(cls):
            yield f"write @dataclass(frozen=True, kw_only=True) between @{self.noun}(…) and the class"

    def forget(self, name: str) -> None:
        """Remove an entry and its aliases."""
        del self._classes[name]
        self._aliases = {alias: target for alias, target in self._aliases.items() if target != name}

    def load_installed(self) -> None:
        """Import installed plug-ins; one that cannot be imported leaves a `PluginWarning`."""
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

    def is_installed(self, cls: type) -> bool:
        """Return whether the module of a class is, or belongs to, an installed plug-in."""
        from importlib.metadata import entry_points

        groups = (self._installed_group,) if self._installed_group else ()
        modules = {point.module.partition(".")[0] for group in groups for point in entry_points(group=group)}
        return cls.__module__.partition(".")[0] in modules

    def load_families(self) -> None:
        """Import all families of the package."""
        for module in dict.fromkeys(self._modules.values()):
            importlib.import_module(module)

    def canonical(self, name: str) -> str:
        """Return the entry's own name, given that name or an alias in any case.

        Raises
        ------
        UnknownNameError
            With a suggestion, if there is no such entry.
        """
        # Installed plug-ins are imported only for a name that the package does not have: that may take seconds.
        known = self._known(name)
        if known is None and self._group is not None:
            self.load_installed()
            known = self._known(name)
        if known is None:
            hint = did_you_mean(name, [*self._modules, *self._classes, *self._aliases])
            remedy = f"'momentumlab list {self.listed_as}' shows all"
            raise UnknownNameError(f"unknown {self.noun} '{name}'{hint}; {remedy}")
        if known in self._modules and known not in self._classes and known not in self._aliases:
            importlib.import_module(self._modules[known])
        return self._aliases.get(known, known)

    def _known(self, name: str) -> str | None:
        """Return the name or alias that equals a given one, if possible in the same case; ``None`` if none does."""
        if name in self._modules or name in self._classes or name in self._aliases:
            return name
        lower = name.lower()
        words = itertools.chain(self._modules, self._classes, self._aliases)
        return next((word for word in words if word.lower() == lower), None)

    def __getitem__(self, name: str) -> type[Entry]:
        return self._classes[self.canonical(name)]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._known(name) is not None

    def __iter__(self) -> Iterator[str]:
        self.load_families()
        own = [name for name in self._modules if name in self._classes]
        return iter([*own, *(name for name in self._classes if name not in self._modules)])

    def __len__(self) -> int:
        self.load_families()
        return len(self._classes)

    def aliases(self, name: str) -> tuple[str, ...]:
        """Return the other names of an entry."""
        return tuple(alias for alias, target in self._aliases.items() if target == name)

    def plugins(self) -> dict[str, type[Entry]]:
        """Return the entries of plug-ins, without importing families."""
        return {name: cls for name, cls in self._classes.items() if cls.__module__.partition(".")[0] != "momentumlab"}

    def by_class_name(self, package: str, name: str) -> Any:
        """Return a family's module or an entry's class as an attribute of its package, for ``__getattr__``.

        Raises
        ------
        AttributeError
            If the package has neither.
        """
        if f"{package}.{name}" in self._modules.values():
            return importlib.import_module(f"{package}.{name}")
        if name[:1].isupper():
            for cls in self.values():
                if cls.__name__ == name:
                    return cls
        raise AttributeError(f"module '{package}' has no attribute '{name}'")


def _replaces(cls: type, known: type) -> bool:
    """Whether a class is a new definition of a known one: the same cell of a notebook, or the same line at a prompt."""
    module = sys.modules.get(cls.__module__)
    is_interactive = cls.__module__ == "__main__" or getattr(module, "__file__", None) is None
    return is_interactive and (cls.__module__, cls.__qualname__) == (known.__module__, known.__qualname__)


def title_of(cls: type) -> str:
    """Return the first line of a class's docstring."""
    return (inspect.getdoc(cls) or "").partition("\n")[0]


def explanation_of(cls: type) -> str:
    """Return the docstring of a class without its first line."""
    return (inspect.getdoc(cls) or "").partition("\n")[2].strip()
