"""What a schedule is: a hyperparameter's value as a function of the iteration."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, TypeVar

import numpy as np

from momentumlab.registry import Array, Parameter, Registry


class Kind(Enum):
    """What an argument of a schedule may be, in words."""

    NUMBER = "a number"
    COUNT = "a whole number"
    WORD = "a word"
    STEPS = "a mapping such as {0: 0.9, 50: 0.5}"
    SCHEDULE = "a number or a schedule"


@dataclass(frozen=True, kw_only=True)
class Argument:
    """The declaration of one argument of a schedule.

    Attributes
    ----------
    kind
        What it may be.
    default
        Its value where none is given; ``None`` if one must be given.
    by_name
        The canonical spelling gives it by its name.
    gt, ge, lt, le, choices
        Bounds of a number, and the words that are allowed.
    """

    name: str
    kind: Kind
    doc: str
    default: float | str | None = None
    by_name: bool = False
    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def bounds(self) -> str:
        """The bounds as people write them; empty where every finite value will do."""
        declared = {key: getattr(self, key) for key in ("gt", "ge", "lt", "le", "choices")}
        return Parameter(name=self.name, default=0.0, doc=self.doc, **declared).bounds

    def allows(self, value: float) -> bool:
        """Whether a number is within the bounds."""
        return within(self, np.float64(value))


def within(bounds: Argument | Parameter, value: np.float64) -> bool:
    """Whether a number is finite and within declared bounds."""
    return bool(
        np.isfinite(value)
        and (bounds.gt is None or value > bounds.gt)
        and (bounds.ge is None or value >= bounds.ge)
        and (bounds.lt is None or value < bounds.lt)
        and (bounds.le is None or value <= bounds.le)
    )


def argument(kind: Kind, *, doc: str, default: float | str | None = None, **declared: Any) -> Any:
    """Declare a dataclass field as an argument (see `Argument`). Typed as `dataclasses.field` is: ``Any``."""
    metadata = {"argument": {"kind": kind, "doc": doc, "default": default, **declared}}
    if default is None:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def start_argument(doc: str = "the value of the first update") -> Any:
    """What a schedule begins with."""
    return argument(Kind.NUMBER, doc=doc)


def end_argument() -> Any:
    """What a schedule leads to."""
    return argument(Kind.NUMBER, default=0.0, doc="the value after the last of these updates, which is kept")


def over_argument() -> Any:
    """How long a schedule takes."""
    doc = "the number of updates it takes; 0: all iterations of the experiment"
    return argument(Kind.COUNT, default=0, ge=0, by_name=True, doc=doc)


class Schedule(ABC):
    """A value for each iteration of a run.

    A new schedule is one frozen dataclass below the decorator `schedule`, whose fields are declared with `argument`.
    Time is counted as PyTorch and optax count it: ``k`` is the number of updates already made, so that the first
    update takes the value at 0 and the update number t that at t − 1. (In PyTorch that is the rate in force when
    ``optimizer.step()`` is called with ``scheduler.step()`` after it; in optax the ``count`` given to the schedule.)

    Attributes
    ----------
    formula
        The value at k.
    source
        Where it comes from, and the functions of PyTorch and optax with the same values.
    """

    name: ClassVar[str]
    formula: ClassVar[str]
    source: ClassVar[str]

    @abstractmethod
    def value(self, k: Array, iterations: int) -> Array:
        """The values of some updates.

        Parameters
        ----------
        k
            How many updates were made before each, from 0; any shape.
        iterations
            The most updates of the experiment.

        Returns
        -------
        values
            The shape of ``k``.
        """

    def turns(self, iterations: int) -> Sequence[int]:
        """The updates at which the value turns or jumps: between neighbours among them and both ends it is monotone."""
        return ()

    def first_outside(self, iterations: int, allows: Callable[[np.float64], bool]) -> tuple[int, float] | None:
        """The first update, counted from 1, whose value is not allowed, and that value; ``None`` if there is none.

        Parameters
        ----------
        iterations
            The most updates of the experiment.
        allows
            Whether a value is allowed; the allowed ones must be an interval.
        """
        last = max(iterations - 1, 0)
        ends = sorted({0, last, *(k for k in self.turns(iterations) if 0 <= k <= last)})

        def value(k: int) -> np.float64:
            with np.errstate(all="ignore"):  # what overflows is not allowed, and told
                number: np.float64 = self.value(np.array([float(k)]), iterations)[0]
            return number

        inside = -1
        for k in ends:
            if allows(value(k)):
                inside = k
                continue
            while k - inside > 1:  # monotone in between: halve it
                middle = (inside + k) // 2
                inside, k = (middle, k) if allows(value(middle)) else (inside, middle)  # noqa: PLW2901
            return k + 1, float(value(k))
        return None

    @classmethod
    def parameters(cls) -> tuple[Argument, ...]:
        """The declared arguments, in the order in which they are given."""
        return tuple(
            Argument(name=field.name, **field.metadata["argument"])
            for field in dataclasses.fields(cls)  # type: ignore[arg-type]
        )

    def __str__(self) -> str:
        """The canonical spelling, from which the same schedule is read."""
        parts: list[str] = []
        by_name = False
        for declared in self.parameters():
            value = getattr(self, declared.name)
            by_name = by_name or declared.by_name
            if value == declared.default:
                by_name = True
            else:
                text = spelled(value)
                parts.append(f"{declared.name}={text}" if by_name else text)
        return f"{self.name}({', '.join(parts)})"


def spelled(value: object) -> str:
    """A value of an argument, as short as it reads back exactly."""
    if isinstance(value, tuple):
        return f"{{{', '.join(f'{k}: {spelled(number)}' for k, number in value)}}}"
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return str(value)


SCHEDULES: Registry[Schedule] = Registry("schedule", demands=("formula", "source"))

ScheduleClass = TypeVar("ScheduleClass", bound=type[Schedule])


def schedule(name: str, *, aliases: tuple[str, ...] = ()) -> Callable[[ScheduleClass], ScheduleClass]:
    """Enter the class below into the catalogue of schedules."""

    def enter(cls: ScheduleClass) -> ScheduleClass:
        cls.name = name
        SCHEDULES.register(name, cls, aliases)
        return cls

    return enter


def between(start: float | Array, end: float | Array, share: Array) -> Array:
    """The number that is some share of the way from one to the other; at 0 and 1 exactly these."""
    mixed: Array = start * (1 - share) + end * share
    return mixed
