"""The parameters of surfaces, optimizers, schedules, noise models, data sets and conventions.

Each is declared once, with its default, bounds and meaning. Validation, ``list``, ``show``, the JSON schema and the
documentation use that declaration.
"""

import dataclasses
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from momentumlab.errors import DeclarationError
from momentumlab.registry import did_you_mean

Array = NDArray[np.float64]

Real = Array
"""A parameter of a class: one number per lane, shape ``(lanes,)``, or a single number; both broadcast alike."""

Value = float | bool | str | tuple[float, ...]
"""One value of a parameter: a number, a flag, a word, or a vector such as the eigenvalues of a quadratic."""

MAX_COUNT = 10**9
"""The largest whole number of a parameter without an upper bound of its own."""


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
        """Whether the default omits a term: a weight decay of zero, a flag that is off, the usual variant."""
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
        A one-line description.
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
