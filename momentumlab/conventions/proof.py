"""Runs of a translation and its source side by side, which prove the answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from momentumlab.conventions.adam_forms import Adaptive
from momentumlab.conventions.base import Convention, MomentumConvention
from momentumlab.conventions.translation import Fidelity, Obstacle, Translation
from momentumlab.registry import Array
from momentumlab.surfaces import SURFACES

ITERATIONS = 200

CALMNESS = 0.1
"""The largest curvature, as a share of that on which both are stable from the first step."""

UNIT_STEPS = 50.0
"""Steps of an adaptive method that make up the unit of length of its surface."""

Gradient = Callable[[Array, int], Array]


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


class Question:
    """Describe what a check runs."""

    CONSTANT = "lr constant"
    STORED = "what is stored, lr constant"
    SILENT_START = "lr constant, the first gradient zero"
    REWEIGHTED = "lr constant for {source}, for {target} {factor}"
    RESCALED = "{schedule}, and v of {target} times {ratio}"


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


@dataclass(frozen=True, kw_only=True)
class Walk:
    """The path of a convention, ``(ITERATIONS + 1, 2)`` each: the points of its gradients, and its parameters."""

    asked: Array
    stored: Array


def gradient_on(course: Course, translation: Translation) -> Gradient:
    """Return the gradient of a surface, scaled so that both conventions are stable for every lr and β."""
    surface = SURFACES[course.surface]()
    source, target = translation.source, translation.target
    assert isinstance(source, MomentumConvention)
    assert isinstance(target, MomentumConvention)
    scale = CALMNESS * min(source.filter.calm, target.filter.calm) / course.steepest
    return lambda x, t: scale * surface.gradient(x[:, np.newaxis])[:, 0]


def walk(
    convention: Convention[Any],
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
    state = convention.begin(np.array(start))
    asked, stored = [convention.asks_at(state)], [convention.stores(state)]
    for i, factor in enumerate(factors):
        t = i + 1
        if ratios is not None:
            assert isinstance(convention, MomentumConvention)
            state = convention.rescaled(state, float(ratios[i]))
        state = convention.step(state, gradient(asked[-1], t), convention.lr * float(factor), t)
        asked.append(convention.asks_at(state))
        stored.append(convention.stores(state))
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
    if isinstance(source, Adaptive):
        return _prove_adaptive(translation, schedule)
    assert isinstance(source, MomentumConvention)
    assert isinstance(target, MomentumConvention)
    times = np.arange(1.0, ITERATIONS + 1)
    constant, changing = np.ones(ITERATIONS), SCHEDULES[schedule](times)
    checks = [
        _check(Question.CONSTANT, translation, constant, constant),
        _check(SCHEDULE_WORDS[schedule], translation, changing, changing),
    ]
    if translation.fidelity is Fidelity.CONSTANT_LR and target.rescalable:
        before = np.concatenate([changing[:1], changing[:-1]])
        ratios = changing / before if target.filter.keeps_lr else before / changing
        ratio = "lr now / lr before" if target.filter.keeps_lr else "lr before / lr now"
        question = Question.RESCALED.format(schedule=SCHEDULE_WORDS[schedule], target=target.name, ratio=ratio)
        checks.append(_check(question, translation, changing, changing, ratios))
    if translation.obstacles == (Obstacle.FIRST,):
        checks.append(_check(Question.SILENT_START, translation, constant, constant, silent=True))
    if factor := reweighting(translation):
        schedule = f"lr {factor} (1 − βᵗ)"
        question = Question.REWEIGHTED.format(source=source.name, target=target.name, factor=schedule)
        unbiased = 1 - source.beta**times
        checks.append(_check(question, translation, constant, 1 / unbiased if factor == "/" else unbiased))
    if source.stores_elsewhere or target.stores_elsewhere:
        checks.append(_check(Question.STORED, translation, constant, constant, is_stored=True))
    return tuple(checks)


def _prove_adaptive(translation: Translation, schedule: str) -> tuple[Check, ...]:
    """Run both with gradients of ordinary size, and with gradients near ε, where its place matters most."""
    source, target = translation.source, translation.target
    assert isinstance(source, Adaptive)
    # A step has about the length lr whatever the gradients are: the unit of length is so many steps.
    unit = UNIT_STEPS * source.lr
    changing = SCHEDULES[schedule](np.arange(1.0, ITERATIONS + 1))
    checks = []
    for question, factors in ((Question.CONSTANT, np.ones(ITERATIONS)), (SCHEDULE_WORDS[schedule], changing)):
        differences = {}
        for course, size, words in zip(COURSES, (1.0, source.rule.damping), ("", ", gradients near ε"), strict=True):
            surface, first = SURFACES[course.surface](), np.array(course.start)
            slope = float(np.abs(surface.gradient(first[:, np.newaxis])).max())

            def gradient(x: Array, t: int, surface: Any = surface, scale: float = size / slope) -> Array:
                found: Array = scale * surface.gradient(x[:, np.newaxis] / unit)[:, 0]
                return found

            start = tuple((unit * first).tolist())
            ours, theirs = (walk(one, gradient, start, factors).asked for one in (source, target))
            differences[course.surface + words] = float(np.abs(ours - theirs).max() / np.abs(ours - ours[0]).max())
        checks.append(Check(question=question, differences=differences))
    return tuple(checks)


def reweighting(translation: Translation) -> str:
    """How a schedule of the target's lr makes up for the division by 1 − βᵗ: ``"/"``, ``"·"``, or not at all."""
    source, target = translation.source, translation.target
    if not (isinstance(source, MomentumConvention) and isinstance(target, MomentumConvention)):
        return ""
    if target.filter.keeps_lr or source.filter.keeps_lr:
        return ""
    if translation.obstacles == (Obstacle.DEBIASED_SOURCE,):
        return "/"
    return "·" if translation.obstacles == (Obstacle.DEBIASED_TARGET,) else ""


def _check(
    question: str,
    translation: Translation,
    of_source: Array,
    of_target: Array,
    ratios: Array | None = None,
    *,
    silent: bool = False,
    is_stored: bool = False,
) -> Check:
    differences = {}
    for course in COURSES:
        loud = gradient_on(course, translation)
        gradient = _without_first(loud) if silent else loud
        ours = walk(translation.source, gradient, course.start, of_source)
        theirs = walk(translation.target, gradient, course.start, of_target, ratios)
        apart = ours.stored - theirs.stored if is_stored else ours.asked - theirs.asked
        went = np.abs(ours.asked - ours.asked[0]).max()
        differences[course.surface] = float(np.abs(apart).max() / went)
    return Check(question=question, differences=differences)


def _without_first(gradient: Gradient) -> Gradient:
    return lambda x, t: gradient(x, t) * (t > 1)
