"""Read the values of parameters and starts: single ones, lists, axes that are written as a call, and schedules."""

import os
import re
from pathlib import Path

import numpy as np

from momentumlab.config.values import AxisCall, Tuned, is_tuned, read_axis, read_schedule
from momentumlab.config.yaml_reader import ConfigNode
from momentumlab.datasets.in_memory import is_in_memory
from momentumlab.errors import Problem, Problems
from momentumlab.experiment import Axis, Points, Setting, Stopping
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.optimizers.base import LR_SCHEDULE
from momentumlab.parameters import Parameter, ValueKind, spelled
from momentumlab.schedules.base import Schedule

COORDINATE = Parameter(name="coordinate", doc="A coordinate of a start.")
DECIMAL_COMMA = re.compile(r"\s*-?\d+,\d+\s*")


class AxisReader:
    """Reads values and collects problems instead of stopping at the first; an invalid value becomes ``None``.

    Parameters
    ----------
    stopping
        The stopping criteria, which limit the length of schedules.
    problems
        The problems so far.
    """

    def __init__(self, stopping: Stopping, problems: Problems) -> None:
        self.stopping = stopping
        self.problems = problems

    def axis(self, owner: str, parameter: Parameter, node: ConfigNode, count: int = 1) -> Axis | None:
        """Return the values of one parameter.

        Parameters
        ----------
        owner
            The name of the surface or the optimizer.
        parameter
            Its declaration.
        node
            A value, a list of values, a call such as ``linspace(…)`` or a schedule.
        count
            The number of values of the first search if it is tuned.
        """
        is_number = parameter.kind is ValueKind.NUMBER
        if is_tuned(node.value) and not (is_number and owner in OPTIMIZERS):
            what = "only numerical hyperparameters of optimizers can be tuned"
            self.problems.append(node.problem(f"{what}, not {parameter.name} of {owner}: list the values to try"))
            return None
        # A text is the call of a whole axis or of one schedule; in Python the same are objects.
        if is_number and isinstance(node.value, (str, AxisCall, Tuned)):
            return self._called_axis(owner, parameter, node, count)
        # Anything else is one value or a list of values.
        if parameter.kind in (ValueKind.VECTOR, ValueKind.NAMES):  # one value is a list, so an axis is a list of lists
            is_axis = isinstance(node.value, list) and any(isinstance(item.value, list) for item in node.value)
        else:
            is_axis = isinstance(node.value, list)
        if is_axis and not node.value:
            self.problems.append(node.problem("has no values"))
            return None
        read = [self._value(owner, parameter, item) for item in (node.value if is_axis else [node])]
        values = [value for value in read if value is not None]
        if len(values) == len(read):
            return Axis(values=tuple(values))
        # Text such as 0,1 was read as a list of two numbers; its author may mean 0.1.
        if is_number and DECIMAL_COMMA.fullmatch(node.typed):
            last = self.problems.pop()
            remedy = f"for a decimal number, write a decimal point: {node.typed.strip().replace(',', '.')}"
            self.problems.append(Problem(place=last.place, message=f"{last.message}; {remedy}"))
        return None

    def _called_axis(self, owner: str, parameter: Parameter, node: ConfigNode, count: int) -> Axis | None:
        """Return the values of an axis that is written as one call."""
        with self.problems.collecting(node.problem):
            read = read_axis(node.value, parameter) if isinstance(node.value, str) else node.value
            if isinstance(read, Schedule):
                check_schedule(owner, parameter, read, self.stopping)
                return Axis(values=(read,))
            spelling = node.value if isinstance(node.value, str) and not isinstance(read, Tuned) else str(read)
            with np.errstate(all="ignore"):  # values that overflow are refused below
                values = read.values(parameter, count) if isinstance(read, Tuned) else read.values()
            # An axis may have a million values: test them quickly, and let the first invalid one raise its message.
            outside = next((value for value in values.tolist() if not parameter.allows(value)), None)
            if outside is not None:
                parameter.number(outside)
            return Axis(values=tuple(values.tolist()), spelling=spelling, tuned=isinstance(read, Tuned))
        return None

    def _value(self, owner: str, parameter: Parameter, node: ConfigNode) -> Setting | None:
        """Return one checked value of a parameter."""
        with self.problems.collecting(node.problem):
            if parameter.kind in (ValueKind.NUMBER, ValueKind.SCHEDULE) and isinstance(node.value, (str, Schedule)):
                schedule = read_schedule(node.value) if isinstance(node.value, str) else node.value
                check_schedule(owner, parameter, schedule, self.stopping)
                return schedule
            if parameter.kind is ValueKind.SCHEDULE and node.value != parameter.default:
                raise ValueError(f"{spelled(node.plain())} is not a schedule such as cosine(1, 0.01), or 1 for none")
            if parameter.kind is ValueKind.VECTOR and isinstance(node.value, list) and node.value:
                return self._vector(parameter, node.value)
            if parameter.is_path and isinstance(node.value, str):
                return _absolute_path(node.value, parameter, node.folder)
            checked: Setting = parameter.checked(node.plain())
            return checked
        return None

    def _vector(self, parameter: Parameter, nodes: list[ConfigNode]) -> tuple[float, ...] | None:
        """Return the checked numbers of a vector or a point; every invalid number is reported."""
        numbers: list[float] = []
        for node in nodes:
            try:
                numbers.append(parameter.number(node.plain()))
            except ValueError as error:
                self.problems.append(node.problem(str(error).replace(parameter.kind.value, "a number")))
        return tuple(numbers) if len(numbers) == len(nodes) else None

    def points(self, node: ConfigNode) -> Points | None:
        """Return one point, a list of points, or (in one dimension) a number."""
        is_list = isinstance(node.value, list) and any(isinstance(item.value, list) for item in node.value)
        rows: list[ConfigNode] = node.value if is_list else [node]
        points: list[tuple[float, ...]] = []
        for row in rows:
            if is_list and not isinstance(row.value, list):
                self.problems.append(row.problem(f"{spelled(row.plain())} is not a point: write [x, y]"))
                continue
            point = self._vector(COORDINATE, row.value if isinstance(row.value, list) else [row])
            points += [] if point is None else [point]
        return Points(points=tuple(points)) if len(points) == len(rows) else None


def check_schedule(owner: str, parameter: Parameter, schedule: Schedule, stopping: Stopping) -> None:
    """Check that a parameter of a surface or an optimizer can follow a schedule.

    Raises
    ------
    ValueError
        If it must not change during a run, or the values do not suit it or the stopping criteria.
    """
    if parameter.constant:
        raise ValueError(f"{parameter.name} of {owner} cannot follow a schedule: {parameter.constant}")
    if owner not in OPTIMIZERS or (parameter.shared and parameter.kind is not ValueKind.SCHEDULE):
        reason = "only hyperparameters of optimizers can"
        raise ValueError(f"{parameter.name} of {owner} cannot follow a schedule: {reason}")
    outside = schedule.first_outside(stopping.iterations, parameter.allows)
    if outside is not None:
        iteration, value = outside
        place = f"reaches {value:.6g} at iteration {iteration}"
        raise ValueError(f"the schedule {schedule} {place}, outside {parameter.bounds}")
    stands_still = parameter.name in ("lr", LR_SCHEDULE) and schedule.value(np.zeros(1), stopping.iterations)[0] == 0
    if stands_still and stopping.tolerance is not None and stopping.patience == 1:
        raise ValueError(
            f"the schedule {schedule} begins with 0: the first iteration changes nothing and meets the tolerance; "
            "begin above 0, as in warmup(10, 0.1, start=0.001), or set 'patience' to more than 1"
        )


def _absolute_path(text: str, parameter: Parameter, folder: Path | None) -> str:
    """Return the absolute path of a file; one of the words of the parameter, such as a data set, is unchanged."""
    if text.partition("(")[0].strip() in parameter.choices or is_in_memory(text) or not text:
        return text
    path = Path(text).expanduser() if text.startswith("~/") else Path(text)
    return os.path.normpath(((folder or Path.cwd()) / path).absolute())
