"""Runs of a translation and its source side by side, which prove the answer."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from momentumlab.conventions.adam_forms import AdaptiveConvention
from momentumlab.conventions.base import Convention, Fidelity, Obstacle, Translation
from momentumlab.conventions.forms import MomentumConvention
from momentumlab.registry import Array
from momentumlab.surfaces import SURFACES

ITERATIONS = 200

CALMNESS = 0.1
"""The largest curvature, as a share of that on which both are stable from the first step."""

UNIT_STEPS = 50.0
"""Steps of an adaptive method that make up the unit of length of its surface."""

Gradient = Callable[[Array, int], Array]
"""The gradient at a point in an iteration, counted from 1."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """A surface on which two conventions are compared, and where to start.

    Attributes
    ----------
    steepest
        The largest curvature that a path from there can meet: it never has more loss to lose than at the start.
    """

    surface: str
    start: tuple[float, float]
    steepest: float


COURSES = (
    Course(surface="ravine", start=(-2.4, 0.2), steepest=18.0),
    Course(surface="rosenbrock", start=(0.2, -0.05), steepest=5000.0),
)

SCHEDULES: dict[str, Callable[[Array], Array]] = {
    "halved": lambda t: np.where(t <= ITERATIONS // 2, 1.0, 0.5),
    "cosine": lambda t: (1 + np.cos(np.pi * (t - 1) / ITERATIONS)) / 2,
    "warmup": lambda t: np.minimum(t / (ITERATIONS // 2), 1.0),
}
"""The factor of lr in iteration t, from 1 to `ITERATIONS`; never zero."""

SCHEDULE_WORDS = {
    "halved": f"lr halved after step {ITERATIONS // 2}",
    "cosine": "lr along a cosine to zero",
    "warmup": f"lr growing for {ITERATIONS // 2} steps",
}


@dataclass(frozen=True, kw_only=True)
class Check:
    """The distances between the paths of two conventions.

    Attributes
    ----------
    question
        What was run.
    differences
        By surface, the largest difference of two coordinates at the same iteration, as a share of the farthest that
        the source got from the start.
    """

    question: str
    differences: Mapping[str, float]

    @property
    def largest(self) -> float:
        """The largest on any surface."""
        return max(self.differences.values())


class Walk(NamedTuple):
    """The path of a convention, ``(iterations + 1, dim)`` each: the points of its gradients, and its parameters."""

    asked: Array
    stored: Array


def walk(
    convention: Convention,
    gradient: Gradient,
    start: tuple[float, ...],
    factors: Array,
    ratios: Array | None = None,
) -> Walk:
    """Run a convention.

    Parameters
    ----------
    convention
        The convention with its hyperparameters.
    gradient
        Function of the point and the iteration, counted from 1.
    start
        The initial point.
    factors
        Factor of lr in each iteration.
    ratios
        Factor of the velocity before each iteration.
    """
    state: Any = convention.begin(np.array(start))
    asked, stored = [convention.asks_at(state)], [state.x]
    for i, factor in enumerate(factors):
        if ratios is not None:
            state = state._replace(v=ratios[i] * state.v)
        state = convention.step(state, gradient(asked[-1], i + 1), convention.lr * float(factor), i + 1)
        asked.append(convention.asks_at(state))
        stored.append(state.x)
    return Walk(asked=np.array(asked), stored=np.array(stored))


def prove(translation: Translation, schedule: str = "halved") -> tuple[Check, ...]:
    """Run both conventions with a constant and a changing lr, and test every claim of the answer.

    Parameters
    ----------
    translation
        What to prove.
    schedule
        How lr changes: a key of `SCHEDULES`.
    """
    source, target = translation.source, translation.target
    courses = list(_courses(translation))
    times = np.arange(1.0, ITERATIONS + 1)
    constant, changing = np.ones(ITERATIONS), SCHEDULES[schedule](times)

    def check(
        question: str,
        factors: Array,
        target_factors: Array | None = None,
        ratios: Array | None = None,
        silent_start: bool = False,
        stored: bool = False,
    ) -> Check:
        differences = {}
        for words, gradient, start in courses:
            used = _without_first(gradient) if silent_start else gradient
            ours = walk(source, used, start, factors)
            theirs = walk(target, used, start, factors if target_factors is None else target_factors, ratios)
            apart = ours.stored - theirs.stored if stored else ours.asked - theirs.asked
            differences[words] = float(np.abs(apart).max() / np.abs(ours.asked - ours.asked[0]).max())
        return Check(question=question, differences=differences)

    checks = [check("lr constant", constant), check(SCHEDULE_WORDS[schedule], changing)]
    # Each further check tests one remark: how to make up for what the translation cannot express.
    if isinstance(target, MomentumConvention) and translation.fidelity is Fidelity.CONSTANT_LR and target.rescalable:
        before = np.concatenate([changing[:1], changing[:-1]])
        ratios = changing / before if target.keeps_lr else before / changing
        ratio = "lr now / lr before" if target.keeps_lr else "lr before / lr now"
        question = f"{SCHEDULE_WORDS[schedule]}, and v of {target.name} times {ratio}"
        checks.append(check(question, changing, ratios=ratios))
    if translation.obstacles == (Obstacle.FIRST,):
        checks.append(check("lr constant, the first gradient zero", constant, silent_start=True))
    if (factor := reweighting(translation)) and isinstance(source, MomentumConvention):
        unbiased = 1 - source.beta**times
        question = f"lr constant for {source.name}, for {target.name} lr {factor} (1 − βᵗ)"
        checks.append(check(question, constant, 1 / unbiased if factor == "/" else unbiased))
    if source.stores_elsewhere or target.stores_elsewhere:
        checks.append(check("what is stored, lr constant", constant, stored=True))
    return tuple(checks)


def _courses(translation: Translation) -> Iterator[tuple[str, Gradient, tuple[float, ...]]]:
    """Yield the description, the gradient and the start of each run."""
    source = translation.source
    if isinstance(source, MomentumConvention):
        yield from ((course.surface, gradient_on(course, translation), course.start) for course in COURSES)
    elif isinstance(source, AdaptiveConvention):
        # The place of ε matters where gradients are small.
        sizes = (1.0, source.form.damping)
        for course, size, words in zip(COURSES, sizes, ("", ", gradients near ε"), strict=True):
            # Steps have about the length lr for any gradient, so this many steps make a unit of length.
            unit = UNIT_STEPS * source.lr
            surface, start = SURFACES[course.surface](), np.array(course.start)
            scale = size / float(np.abs(surface.gradient(start[:, np.newaxis])).max())
            yield course.surface + words, _scaled_gradient(course, scale, unit), tuple((unit * start).tolist())


def gradient_on(course: Course, translation: Translation) -> Gradient:
    """Return the gradient of a surface, scaled so that both momentum methods are stable for every lr and β."""
    source, target = translation.source, translation.target
    assert isinstance(source, MomentumConvention)
    assert isinstance(target, MomentumConvention)
    return _scaled_gradient(course, CALMNESS * min(source.form.calm, target.form.calm) / course.steepest)


def _scaled_gradient(course: Course, scale: float, unit: float = 1.0) -> Gradient:
    surface = SURFACES[course.surface]()

    def gradient(x: Array, t: int) -> Array:
        found: Array = scale * surface.gradient(x[:, np.newaxis] / unit)[:, 0]
        return found

    return gradient


def _without_first(gradient: Gradient) -> Gradient:
    return lambda x, t: gradient(x, t) * (t > 1)


def reweighting(translation: Translation) -> str:
    """How a schedule of the target's lr makes up for the division by 1 − βᵗ: ``"/"``, ``"·"``, or not at all."""
    source, target = translation.source, translation.target
    if not (isinstance(source, MomentumConvention) and isinstance(target, MomentumConvention)):
        return ""
    if source.keeps_lr or target.keeps_lr:
        return ""
    if translation.obstacles == (Obstacle.DEBIASED_SOURCE,):
        return "/"
    return "·" if translation.obstacles == (Obstacle.DEBIASED_TARGET,) else ""
