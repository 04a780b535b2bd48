"""The values that are written as calls: axes, ranges to tune, schedules, noise models and starts."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from momentumlab.calls import Call, CallError, NamedCall, as_call, bind, build, parse
from momentumlab.experiment import MAX_VALUES, START_CALLS, Grid, Random, Starts
from momentumlab.noise import NOISE_MODELS, Gaussian, Noise
from momentumlab.parameters import Array, Parameter, ValueKind, parameter, spelled
from momentumlab.registry import Registry, did_you_mean
from momentumlab.scales import LARGEST, default_range, scale_of
from momentumlab.schedules.base import SCHEDULES, Schedule

NOISE_HINT = "write a number or a noise model such as relative(0.1)"
START_HINT = "write [x, y], a list of points, grid(50, 50) or random(32)"


class AxisCall(NamedCall, ABC):
    """Base of the calls that describe the values of an axis."""

    @abstractmethod
    def values(self) -> Array:
        """Return the values.

        Raises
        ------
        ValueError
            If the arguments do not fit together.
        """


AXIS_CALLS: Registry[AxisCall] = Registry("axis", listed_as="axes")


@AXIS_CALLS.entry("linspace")
@dataclass(frozen=True, kw_only=True)
class Linspace(AxisCall):
    """Evenly spaced values, both ends included, as in NumPy."""

    start: float = parameter(doc="first value")
    stop: float = parameter(doc="last value")
    count: int = parameter(kind=ValueKind.COUNT, ge=1, le=MAX_VALUES, doc="number of values")

    def values(self) -> Array:
        """Return the values."""
        return np.linspace(self.start, self.stop, self.count)


@AXIS_CALLS.entry("geomspace")
@dataclass(frozen=True, kw_only=True)
class Geomspace(AxisCall):
    """Values with a constant ratio, both ends included, as in NumPy."""

    start: float = parameter(gt=0, doc="first value")
    stop: float = parameter(gt=0, doc="last value")
    count: int = parameter(kind=ValueKind.COUNT, ge=1, le=MAX_VALUES, doc="number of values")

    def values(self) -> Array:
        """Return the values."""
        return np.geomspace(self.start, self.stop, self.count)


@AXIS_CALLS.entry("arange")
@dataclass(frozen=True, kw_only=True)
class Arange(AxisCall):
    """Values with a constant difference, the end excluded, as in NumPy."""

    start: float = parameter(doc="first value")
    stop: float = parameter(doc="end, not included")
    step: float = parameter(doc="difference of neighbours")

    def values(self) -> Array:
        """Return the values; see `AxisCall.values`."""
        steps = (self.stop - self.start) / self.step if self.step else math.nan
        if not 0 < steps < math.inf:
            raise ValueError(f"a step of {self.step:g} never leads from {self.start:g} to {self.stop:g}")
        if steps > MAX_VALUES:
            raise ValueError(f"arange() would have more than {MAX_VALUES:,} values")
        values: Array = self.start + self.step * np.arange(math.ceil(steps), dtype=np.float64)
        return values


@dataclass(frozen=True, kw_only=True)
class Tuned(NamedCall):
    """The range in which the search for a good value begins."""

    low: float = parameter(doc="lowest value")
    high: float = parameter(doc="highest value")

    name = "tuned"

    @classmethod
    def of(cls, parameter: Parameter) -> "Tuned":
        """Return the default range of a parameter.

        Raises
        ------
        ValueError
            If it has none.
        """
        found = default_range(parameter)
        if found is None:
            message = f"{parameter.name} has no finite range in which to search: give one, such as tuned(0.1, 10)"
            raise ValueError(message)
        return cls(low=found[0], high=found[1])

    def check(self, parameter: Parameter) -> None:
        """Check the range for a parameter.

        Raises
        ------
        ValueError
            If it is empty or out of bounds.
        """
        # A learning rate of 0 has no place on a logarithmic scale, and the optimizer would not move.
        allowed = replace(parameter, gt=0.0, ge=None) if parameter.name == "lr" else parameter
        is_inside = all(allowed.allows(end) and abs(end) <= LARGEST for end in (self.low, self.high))
        if not (is_inside and self.low < self.high):
            example = default_range(parameter)
            hint = "" if example is None else f", such as {Tuned(low=example[0], high=example[1])}"
            bounds = f" and {allowed.bounds}" if allowed.bounds else ""
            raise ValueError(f"tuned(low, high) needs low < high{bounds}{hint}")

    def values(self, parameter: Parameter, count: int) -> Array:
        """Return the values of the first search, evenly spaced on the scale of the parameter."""
        return scale_of(parameter, self.low, self.high).grid(self.low, self.high, count)

    def __str__(self) -> str:
        return f"tuned({self.low!r}, {self.high!r})"


def is_tuned(value: object) -> bool:
    """Whether a value is the word ``tuned`` or a call ``tuned(low, high)``."""
    return isinstance(value, Tuned) or (isinstance(value, str) and value.partition("(")[0].strip() == "tuned")


def read_axis(text: str, parameter: Parameter) -> AxisCall | Schedule | Tuned:
    """Read the values of a parameter that are written as a call.

    Raises
    ------
    CallError
        If the text is not a call of an axis or a schedule, or the parameter cannot be tuned.
    """
    written = parse(text)
    call = as_call(written)
    if call is not None and call.name == "tuned":
        try:
            tuned = bind(call, Tuned) if isinstance(written.value, Call) else Tuned.of(parameter)
            tuned.check(parameter)
        except CallError:
            raise
        except ValueError as error:
            raise CallError(str(error), written.column) from None
        return tuned
    if not isinstance(written.value, Call):
        remedy = "; write numbers without quotes" if isinstance(written.value, (int, float, tuple)) else ""
        raise CallError(f"{spelled(text.strip())} is not a number{remedy}", written.column)
    if written.value.name in AXIS_CALLS:
        axis: AxisCall = build(written.value, AXIS_CALLS)
        return axis
    return _schedule(written.value)


def _schedule(call: Call) -> Schedule:
    if call.name not in SCHEDULES:
        hint = did_you_mean(call.name, [*SCHEDULES, *AXIS_CALLS, "tuned"])
        remedy = f"axes are {', '.join(AXIS_CALLS)}; 'momentumlab list schedules' shows the schedules"
        raise CallError(f"unknown axis or schedule '{call.name}'{hint}; {remedy}", call.column)
    schedule: Schedule = build(call, SCHEDULES)
    return schedule


def read_schedule(text: str) -> Schedule:
    """Read a schedule, such as one of the values in a list.

    Raises
    ------
    CallError
        If the text is not a call of a schedule.
    """
    written = parse(text)
    call = as_call(written)
    if call is not None and (call.name in AXIS_CALLS or call.name == "tuned"):
        name = f"{call.name}()" if isinstance(written.value, Call) else call.name
        raise CallError(f"{name} describes a whole axis: write it without the list", written.column)
    if not isinstance(written.value, Call):
        raise CallError(f"{spelled(text.strip())} is not a number", written.column)
    return _schedule(written.value)


def read_noise(value: object) -> Noise | None:
    """Read a noise model: a standard deviation, a call, or 0 for none.

    Raises
    ------
    ValueError
        If it is not one.
    """
    if isinstance(value, Noise):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return None if value == 0 else Gaussian(deviation=Gaussian.parameters()[0].checked(value))
    if not isinstance(value, str):
        raise ValueError(f"invalid noise {spelled(value)}: {NOISE_HINT}")
    written = parse(value)
    if not isinstance(written.value, Call):
        raise CallError(f"invalid noise {spelled(value)}{did_you_mean(value, NOISE_MODELS)}: {NOISE_HINT}", 0)
    noise: Noise = build(written.value, NOISE_MODELS)
    return noise


def read_starts(value: object, dimension: int) -> Starts:
    """Read starts that are written as a call.

    Parameters
    ----------
    value
        The text, or starts.
    dimension
        The number of coordinates of random starts if the call does not set it.

    Raises
    ------
    ValueError
        If it is not one of the calls.
    """
    if isinstance(value, str):
        written = parse(value)
        if not isinstance(written.value, Call) or written.value.name not in START_CALLS:
            name = written.value.name if isinstance(written.value, Call) else value.strip()
            hint = {"grid": ": did you mean grid(3, 3)?", "random": ": did you mean random(32)?"}
            near = did_you_mean(name, START_CALLS).partition("'")[2].partition("'")[0]
            raise CallError(f"invalid start {spelled(value)}{hint.get(near, f': {START_HINT}')}", written.column)
        value = build(written.value, START_CALLS)
    if isinstance(value, Random):
        return value if value.dimension else replace(value, dimension=dimension)
    if isinstance(value, Grid):
        return value
    raise ValueError(f"invalid start {spelled(value)}: {START_HINT}")
