"""Translations between conventions: exact if the filters agree, otherwise with the reason."""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from momentumlab.conventions.adam_forms import Adaptive, AdaptiveRule
from momentumlab.conventions.base import Convention, Filter, MomentumConvention

AGREEMENT = 1e-13
"""Weights that differ by at most this share of the gain differ only by rounding."""


class Fidelity(Enum):
    """The quality of a translation."""

    EXACT = "exact"
    CONSTANT_LR = "constant lr only"
    NEAREST = "not exact"

    @property
    def words(self) -> str:
        """A phrase that follows the two names."""
        return {
            Fidelity.EXACT: "the same path, also when lr changes",
            Fidelity.CONSTANT_LR: "the same path as long as lr is constant",
            Fidelity.NEAREST: "not exact; the nearest with the same step in the long run",
        }[self]


class Obstacle(Enum):
    """The reason why no exact translation exists."""

    SHAPE = "the newest gradient has a different weight relative to older ones"
    FIRST = "the first gradient is not dampened"
    DEBIASED_SOURCE = "the source divides by 1 − βᵗ"
    DEBIASED_TARGET = "the target divides by 1 − βᵗ"
    AVERAGE = "the target does not average gradients"
    CORRECTION = "only one of them corrects its averages"
    EPS = "they add ε in different places"
    DECAY = "they decay weights differently"


@dataclass(frozen=True, kw_only=True)
class Translation:
    """A convention expressed in another one.

    Attributes
    ----------
    source, target
        Both conventions with their hyperparameters. If the translation is not exact, the target has the same β and
        gain, and the nearest weights (`Filter.fitted`).
    fidelity
        Whether the translation is exact.
    obstacles
        Why the translation is not exact; empty if it is exact at least for a constant lr.
    """

    source: Convention[Any]
    target: Convention[Any]
    fidelity: Fidelity
    obstacles: tuple[Obstacle, ...]


def translate(source: Convention[Any], target: type[Convention[Any]]) -> Translation:
    """Return the hyperparameters with which the target has the path of the source, or the nearest one.

    The path is that of the points at which gradients are taken. Hyperparameters are rounded to 15 digits: 0.1 and not
    0.10000000000000002.
    """
    if type(source) is target:
        return Translation(source=source, target=source, fidelity=Fidelity.EXACT, obstacles=())
    if isinstance(source, Adaptive):
        assert issubclass(target, Adaptive)
        return _translate_adaptive(source, target)
    assert isinstance(source, MomentumConvention)
    assert issubclass(target, MomentumConvention)
    wanted = source.filter
    found = target.of(wanted.fitted(target.shapes))
    changed = {name: value for name, value in found.values.items() if name != "beta" and not isinstance(value, bool)}
    found = replace(found, **{name: float(f"{value:.15g}") for name, value in changed.items()})
    obstacles = _obstacles(wanted.normal, found.filter.normal)
    return Translation(source=source, target=found, fidelity=_fidelity(source, found, obstacles), obstacles=obstacles)


def _translate_adaptive(source: Adaptive, target: type[Adaptive]) -> Translation:
    wanted = source.rule
    found = target.of(target.fitted(wanted))
    obstacles = _differences(wanted, found.rule)
    fidelity = Fidelity.NEAREST if obstacles else Fidelity.EXACT
    return Translation(source=source, target=found, fidelity=fidelity, obstacles=obstacles)


def _differences(wanted: AdaptiveRule, found: AdaptiveRule) -> tuple[Obstacle, ...]:
    """Return what keeps two rules with the same lr and β₂ from being the same."""
    obstacles = []
    if wanted.beta1 != found.beta1:
        obstacles.append(Obstacle.AVERAGE)
    if wanted.corrects != found.corrects and max(wanted.beta1, wanted.beta2) > 0:
        obstacles.append(Obstacle.CORRECTION)
    # Without memory, 1 − β₂ᵗ is 1, and ε̂ is ε.
    constants = [
        (rule.eps + rule.eps_hat, rule.eps_root) if rule.beta2 == 0 else (rule.eps, rule.eps_hat, rule.eps_root)
        for rule in (wanted, found)
    ]
    if constants[0] != constants[1]:
        obstacles.append(Obstacle.EPS)
    if (wanted.weight_decay, wanted.decay) != (found.weight_decay, found.decay):
        obstacles.append(Obstacle.DECAY)
    return tuple(obstacles)


def _obstacles(wanted: Filter, found: Filter) -> tuple[Obstacle, ...]:
    obstacles = []
    if max(abs(wanted.now - found.now), abs(wanted.memory - found.memory)) > AGREEMENT * wanted.gain:
        obstacles.append(Obstacle.SHAPE)
    if wanted.first > 0:
        obstacles.append(Obstacle.FIRST)
    if wanted.debiased and not found.debiased:
        obstacles.append(Obstacle.DEBIASED_SOURCE)
    if found.debiased and not wanted.debiased:
        obstacles.append(Obstacle.DEBIASED_TARGET)
    return tuple(obstacles)


def _fidelity(
    source: MomentumConvention[Any], target: MomentumConvention[Any], obstacles: tuple[Obstacle, ...]
) -> Fidelity:
    if obstacles:
        return Fidelity.NEAREST
    has_memory = source.filter.normal.beta > 0
    return Fidelity.CONSTANT_LR if has_memory and source.filter.keeps_lr != target.filter.keeps_lr else Fidelity.EXACT
