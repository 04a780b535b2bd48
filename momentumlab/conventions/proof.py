"""Verification of translations: both conventions are run on the same problems, and their paths are compared."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from momentumlab.conventions.adam_forms import AdaptiveConvention
from momentumlab.conventions.base import Convention, Fidelity, Obstacle, Translation
from momentumlab.conventions.forms import MomentumConvention
from momentumlab.parameters import Array
from momentumlab.surfaces import SURFACES

ITERATIONS = 200

MARGIN = 0.1
"""The largest curvature of a problem, as a share of the largest one for which both conventions are stable."""

UNIT_STEPS = 50.0
"""The unit of length of a problem for adaptive methods, in steps of length lr."""

Gradient = Callable[[Array, int], Array]
"""A gradient as a function of the point and the iteration, which is counted from 1."""


@dataclass(frozen=True, kw_only=True)
class ReferenceProblem:
    """A surface on which two conventions are compared, with a start.

    Attributes
    ----------
    largest_curvature
        An upper bound of the curvatures where the loss is at most that at the start.
    """

    surface: str
    start: tuple[float, float]
    largest_curvature: float


REFERENCE_PROBLEMS = (
    ReferenceProblem(surface="ravine", start=(-2.4, 0.2), largest_curvature=18.0),
    ReferenceProblem(surface="rosenbrock", start=(0.2, -0.05), largest_curvature=5000.0),
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
        Description of the two runs.
    differences
        For each surface, the largest difference between coordinates at the same iteration, as a share of the largest
        displacement of the source from the start.
    """

    question: str
    differences: Mapping[str, float]

    @property
    def largest(self) -> float:
        """The largest difference on any surface."""
        return max(self.differences.values())


class ConventionPath(NamedTuple):
    """The points at which a convention evaluates gradients, and those it stores, ``(iterations + 1, dim)`` each."""

    gradient_points: Array
    stored: Array


def run_convention(
    convention: Convention,
    gradient: Gradient,
    start: tuple[float, ...],
    factors: Array,
    ratios: Array | None = None,
) -> ConventionPath:
    """Run a convention from a start.

    Parameters
    ----------
    convention
        The convention with its hyperparameters.
    gradient
        The gradient as a function of the point and the iteration.
    start
        The initial point.
    factors
        The factor of lr in each iteration.
    ratios
        Factors by which the velocity is multiplied before each iteration; by default 1.
    """
    state: Any = convention.begin(np.array(start))
    gradient_points, stored = [convention.gradient_point(state)], [state.x]
    for i, factor in enumerate(factors):
        if ratios is not None:
            state = state._replace(v=ratios[i] * state.v)
        state = convention.step(state, gradient(gradient_points[-1], i + 1), convention.lr * float(factor), i + 1)
        gradient_points.append(convention.gradient_point(state))
        stored.append(state.x)
    return ConventionPath(gradient_points=np.array(gradient_points), stored=np.array(stored))


def prove(translation: Translation, schedule: str = "halved") -> tuple[Check, ...]:
    """Run both conventions with a constant and a changing lr, and test every remark on the translation.

    Parameters
    ----------
    translation
        The translation to verify.
    schedule
        The schedule of the changing lr, a key of `SCHEDULES`.
    """
    source, target = translation.source, translation.target
    problems = list(_problems(translation))
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
        for label, gradient, start in problems:
            used = _without_first(gradient) if silent_start else gradient
            ours = run_convention(source, used, start, factors)
            theirs = run_convention(target, used, start, factors if target_factors is None else target_factors, ratios)
            apart = ours.stored - theirs.stored if stored else ours.gradient_points - theirs.gradient_points
            differences[label] = float(
                np.abs(apart).max() / np.abs(ours.gradient_points - ours.gradient_points[0]).max()
            )
        return Check(question=question, differences=differences)

    checks = [check("lr constant", constant), check(SCHEDULE_WORDS[schedule], changing)]
    # Each further check tests a remark that states how to make up for what the translation cannot express.
    # 1. If only one of the two multiplies the velocity by lr, rescale the velocity when lr changes.
    if isinstance(target, MomentumConvention) and translation.fidelity is Fidelity.CONSTANT_LR and target.rescalable:
        before = np.concatenate([changing[:1], changing[:-1]])
        ratios = changing / before if target.keeps_lr else before / changing
        ratio = "lr now / lr before" if target.keeps_lr else "lr before / lr now"
        question = f"{SCHEDULE_WORDS[schedule]}, and v of {target.name} times {ratio}"
        checks.append(check(question, changing, ratios=ratios))
    # 2. If only the first gradient has another weight, the paths agree without it.
    if translation.obstacles == (Obstacle.FIRST,):
        checks.append(check("lr constant, the first gradient zero", constant, silent_start=True))
    # 3. If only one of the two divides by 1 − βᵗ, a schedule of lr replaces the division.
    if (factor := lr_correction(translation)) and isinstance(source, MomentumConvention):
        unbiased = 1 - source.beta**times
        question = f"lr constant for {source.name}, for {target.name} lr {factor} (1 − βᵗ)"
        checks.append(check(question, constant, 1 / unbiased if factor == "/" else unbiased))
    # 4. The stored points differ if one of the two stores another point than that of its gradients.
    if source.stores_elsewhere or target.stores_elsewhere:
        checks.append(check("what is stored, lr constant", constant, stored=True))
    return tuple(checks)


def _problems(translation: Translation) -> Iterator[tuple[str, Gradient, tuple[float, ...]]]:
    """Yield the description, the gradient and the start of each run."""
    source = translation.source
    if isinstance(source, MomentumConvention):
        yield from (
            (problem.surface, stable_gradient(problem, translation), problem.start) for problem in REFERENCE_PROBLEMS
        )
    elif isinstance(source, AdaptiveConvention):
        # The place of ε matters where gradients are small, so the second problem has gradients of that size.
        sizes = (1.0, source.form.damping)
        for problem, size, remark in zip(REFERENCE_PROBLEMS, sizes, ("", ", gradients near ε"), strict=True):
            # Steps have about the length lr for any gradient: choose the unit of length accordingly.
            unit = UNIT_STEPS * source.lr
            surface, start = SURFACES[problem.surface](), np.array(problem.start)
            scale = size / float(np.abs(surface.gradient(start[:, np.newaxis])).max())
            yield problem.surface + remark, _scaled_gradient(problem, scale, unit), tuple((unit * start).tolist())


def stable_gradient(problem: ReferenceProblem, translation: Translation) -> Gradient:
    """Return the gradient of a surface, scaled so that both momentum methods are stable for every lr and β."""
    source, target = translation.source, translation.target
    assert isinstance(source, MomentumConvention)
    assert isinstance(target, MomentumConvention)
    return _scaled_gradient(
        problem, MARGIN * min(source.form.safe_curvature, target.form.safe_curvature) / problem.largest_curvature
    )


def _scaled_gradient(problem: ReferenceProblem, scale: float, unit: float = 1.0) -> Gradient:
    surface = SURFACES[problem.surface]()

    def gradient(x: Array, t: int) -> Array:
        found: Array = scale * surface.gradient(x[:, np.newaxis] / unit)[:, 0]
        return found

    return gradient


def _without_first(gradient: Gradient) -> Gradient:
    return lambda x, t: gradient(x, t) * (t > 1)


def lr_correction(translation: Translation) -> str:
    """How a schedule of the target's lr makes up for the division by 1 − βᵗ: ``"/"``, ``"·"``, or not at all."""
    source, target = translation.source, translation.target
    if not (isinstance(source, MomentumConvention) and isinstance(target, MomentumConvention)):
        return ""
    if source.keeps_lr or target.keeps_lr:
        return ""
    if translation.obstacles == (Obstacle.DEBIASED_SOURCE,):
        return "/"
    return "·" if translation.obstacles == (Obstacle.DEBIASED_TARGET,) else ""
