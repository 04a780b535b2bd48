"""Surfaces compared with SymPy, mpmath and SciPy, by formulas written independently."""

import functools
import itertools
from collections.abc import Iterator
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import scipy.optimize
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import momentumlab
from momentumlab.parameters import Array
from momentumlab.plan import make_plan
from momentumlab.report.prediction_table import PredictionReport, explanation
from momentumlab.surfaces import SURFACES, CriticalKind, CriticalPoint, Surface, Tag
from momentumlab.surfaces.quadratics import Quadratic
from tests.formulas import FORMULAS
from tests.test_surfaces import points_of

DIGITS = 50
BEYOND = 0.1
"""Distance outside the view window that a search may reach, relative to its width."""

FAR = 1e4

WRITTEN = [name for name, cls in SURFACES.items() if cls.is_formula and Tag.BBOB not in cls.tags]
"""Those that can be written down for SymPy; the others are tested in test_data_problems and test_bbob."""


def cases() -> Iterator[Any]:
    """Every surface with its defaults: in its default dimension, and if it has several, in the lowest and in three."""
    for name in WRITTEN:
        if name == "noisy_valley":  # its minima are not isolated: see test_moved_surfaces
            continue
        cls = SURFACES[name]
        dims = [cls().required_dimension] if cls().required_dimension else sorted({cls.least_dimension, 2, 3})
        yield from (pytest.param(name, dim, id=f"{name}-{dim}d") for dim in dims)


every_case = pytest.mark.parametrize(("name", "dim"), list(cases()))
every_name = pytest.mark.parametrize("name", WRITTEN)


class Oracle:
    """Value, gradient and Hessian of a formula, derived by SymPy and evaluated by mpmath."""

    def __init__(self, name: str, dim: int) -> None:
        surface = SURFACES[name]()
        values = {p.name: exact(getattr(surface, p.name)) for p in surface.parameters()}
        x = sp.symbols(f"x:{dim}", real=True)
        formula = sp.sympify(FORMULAS[name](list(x), **values))
        gradient = [sp.diff(formula, one) for one in x]
        hessian = [[sp.diff(slope, one) for one in x] for slope in gradient]
        self.value, self.gradient, self.hessian = (
            sp.lambdify(x, each, [{"DiracDelta": no_delta}, "mpmath"]) for each in (formula, gradient, hessian)
        )


def no_delta(*_: Any) -> int:
    """SymPy has a delta where a modulus bends: it is zero everywhere else, and at the bend has a zero beside it."""
    return 0


def exact(value: Any) -> Any:
    return tuple(map(sp.Rational, value)) if isinstance(value, tuple) else sp.Rational(value)


oracle = functools.cache(Oracle)


@every_case
def test_value_gradient_and_hessian_agree_with_sympy(name: str, dim: int) -> None:
    surface = SURFACES[name]()
    x = points_of(surface, dim, 7)
    value, gradient, hessian = surface.value(x), surface.gradient(x), surface.hessian(x)
    with mp.workdps(DIGITS):
        for lane, point in enumerate(x.T):
            at = [mp.mpf(c) for c in point.tolist()]
            truth = oracle(name, dim)
            for found, expected in (
                (value[lane], truth.value(*at)),
                (gradient[:, lane], truth.gradient(*at)),
                (hessian[:, :, lane], truth.hessian(*at)),
            ):
                numbers = np.array(expected, dtype=object).astype(np.float64)
                np.testing.assert_allclose(found, numbers, rtol=1e-11, atol=1e-13 * max(1.0, np.abs(numbers).max()))


@every_case
def test_critical_points_are_roots_of_the_gradient_to_13_digits(name: str, dim: int) -> None:
    surface = SURFACES[name]()
    listed = surface.critical_points(dim)
    assert listed
    truth = oracle(name, dim)
    with mp.workdps(DIGITS):
        for critical in listed:
            if not np.isfinite(surface.hessian(column(critical))).all():
                assert_tip_of_a_cone(truth, critical)
                continue
            root = solved(truth, [mp.mpf(c) + mp.mpf("1e-4") * (i + 1) for i, c in enumerate(critical.point)])
            assert max(abs(a - b) for a, b in zip(root, critical.point, strict=True)) < 1e-13 * FAR_FROM_ZERO
            assert abs(truth.value(*root) - critical.loss) <= 1e-13 * max(1, abs(critical.loss))


FAR_FROM_ZERO = 4
"""Points up to 12.3 from the origin carry an error of rounding in proportion."""


def column(critical: CriticalPoint) -> Array:
    return np.array(critical.point)[:, np.newaxis]


def solved(truth: Oracle, x: list[Any]) -> list[Any]:
    """A root of the gradient, by Newton's method; geometrically where the Hessian is singular there."""
    for _ in range(400):
        try:
            step = mp.lu_solve(mp.matrix(truth.hessian(*x)), mp.matrix(truth.gradient(*x)))
        except ZeroDivisionError:  # the Hessian is zero: the root is met
            break
        x = [one - each for one, each in zip(x, step, strict=True)]
        if max(abs(each) for each in step) < mp.mpf("1e-30"):
            break
    else:
        raise AssertionError("no convergence")
    return x


def assert_tip_of_a_cone(truth: Oracle, critical: CriticalPoint) -> None:
    """At a minimum without a gradient the loss rises in proportion to the distance in every direction."""
    at = [mp.mpf(c) for c in critical.point]
    with mp.workdps(3 * DIGITS):
        assert abs(truth.value(*at) - critical.loss) < 1e-100
        for direction in itertools.product((-1, 0, 1), repeat=len(at)):
            if any(direction):
                near, nearer = (
                    truth.value(*(c + mp.mpf(10) ** -k * d for c, d in zip(at, direction, strict=True))) - critical.loss
                    for k in (30, 31)
                )
                assert nearer > 0
                assert abs(near / nearer - 10) < 1e-20


@every_case
def test_searches_find_nothing_below_the_global_minimum(name: str, dim: int) -> None:
    surface = SURFACES[name]()
    lowest = [point.loss for point in surface.minima(dim) if point.kind is CriticalKind.GLOBAL_MINIMUM]
    if not lowest:
        return
    bounds = searched(surface, dim)
    nearby = [np.array(point.point) + 0.01 * (bounds[:, 1] - bounds[:, 0]) for point in surface.minima(dim)]
    found = [search(surface, start, bounds).fun for start in [*points_of(surface, dim, 15).T, *nearby]]
    assert min(found) >= lowest[0] - 1e-12 * max(1.0, abs(lowest[0]))
    assert min(found) <= lowest[0] + 1e-3


def searched(surface: Surface, dim: int) -> Array:
    """The view and a margin around it, but within the domain, ``(dim, 2)``."""
    low, high = np.array(surface.window(dim)).T
    low, high = low - BEYOND * (high - low), high + BEYOND * (high - low)
    if surface.domain is not None:
        least, most = np.array(surface.domain).T
        low, high = np.maximum(low, least), np.minimum(high, most)
    return np.stack([low, high], axis=1)


def search(surface: Surface, start: Array, bounds: Array) -> Any:
    def loss_and_gradient(x: Array) -> tuple[float, Array]:
        return float(surface.value(x[:, np.newaxis])[0]), surface.gradient(x[:, np.newaxis])[:, 0]

    return scipy.optimize.minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", bounds=bounds)


@every_name
def test_no_warning_and_no_nan_within_the_view_and_far_around_it(name: str) -> None:
    surface = SURFACES[name]()
    dim = surface.default_dimension
    window = np.array(surface.window(dim))
    lines = [np.linspace(low, high, 41) for low, high in window]
    mesh = np.stack([axis.ravel() for axis in np.meshgrid(*lines)])
    special = np.array([point.point for point in surface.critical_points(dim)]).T
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        for x in (mesh, 100 * mesh, special, np.zeros((dim, 1))):
            assert np.isfinite(surface.value(x)).all()
            assert np.isfinite(surface.gradient(x)).all()
            assert not np.isnan(surface.hessian(x)).any()


def test_log_sums_of_exponentials_do_not_overflow() -> None:
    far = np.array([[1e3, -1e3, 1e300, -1e300]])
    logistic, edges = SURFACES["logistic_bowl"](), SURFACES["log_sum_exp"]()
    with np.errstate(over="raise", invalid="raise"):
        assert logistic.value(far).tolist() == [750.0, 250.0, 0.75e300, 0.25e300]
        assert logistic.gradient(far).tolist() == [[0.75, -0.25, 0.75, -0.25]]
        flat = np.concatenate([far, np.zeros_like(far)])
        assert edges.value(flat) == pytest.approx([1e3 + np.log(2), 1e3, 1e300, 1e300], rel=1e-15)
        assert edges.gradient(flat).tolist() == [[1.0, -1.0, 1.0, -1.0], [0.0] * 4]


# Tags: each one is measured.


def worst_condition(surface: Surface, dim: int) -> float:
    """Return the largest condition number at a global minimum; infinite if a curvature is zero."""
    ratios = [0.0]
    for point in surface.minima(dim):
        hessian = surface.hessian(column(point))[:, :, 0]
        if point.kind is CriticalKind.GLOBAL_MINIMUM and np.isfinite(hessian).all():
            curvatures = np.linalg.eigvalsh(hessian)
            ratios.append(curvatures[-1] / curvatures[0] if curvatures[0] > 0 else np.inf)
    return max(ratios)


def is_constant(surface: Surface, dim: int) -> bool:
    hessian = surface.hessian(points_of(surface, dim, 500))
    return bool(np.ptp(hessian, axis=2).max() <= 1e-12 * np.abs(hessian).max())


def is_convex(surface: Surface, dim: int) -> bool:
    curvatures = np.linalg.eigvalsh(np.moveaxis(surface.hessian(points_of(surface, dim, 5000)), 2, 0))
    return bool(curvatures.min() >= -1e-12 * curvatures.max())


def has_several_minima(surface: Surface, dim: int) -> bool:
    return len(surface.minima(dim)) > 1 or not surface.lists_all_minima


def lists_a_saddle(surface: Surface, dim: int) -> bool:
    return any(point.kind is CriticalKind.SADDLE for point in surface.critical_points(dim))


def is_unbounded(surface: Surface, dim: int) -> bool:
    """Return whether the loss far out is negative, by more than a hundredth of the distance, in some direction."""
    angles = np.linspace(0, 2 * np.pi, 721)
    sphere = np.random.default_rng(0).normal(size=(dim, 721))
    sphere = np.stack([np.cos(angles), np.sin(angles)]) if dim == 2 else sphere / np.linalg.norm(sphere, axis=0)
    return bool(surface.value(FAR * sphere).min() < -FAR / 100)


def has_a_kink(surface: Surface, dim: int) -> bool:
    """Return whether the Hessian is discontinuous along a line, by bisection of its largest change."""
    low, high = (np.array(surface.window(dim)) * 0.9 + 0.0).T
    left, right = np.linspace(low, high, 2001).T[:, :-1], np.linspace(low, high, 2001).T[:, 1:]

    def change(a: Array, b: Array) -> Array:
        return np.asarray(np.abs(surface.hessian(a + 1e-15) - surface.hessian(b + 1e-15)).max(axis=(0, 1)))

    steepest = int(change(left, right).argmax())
    a, b = left[:, steepest : steepest + 1], right[:, steepest : steepest + 1]
    before = float(change(a, b)[0])
    for _ in range(25):
        middle = (a + b) / 2
        a, b = (a, middle) if change(a, middle)[0] > change(middle, b)[0] else (middle, b)
    return bool(change(a, b)[0] > 0.1 * before > 0)


MEASURES = {
    Tag.QUADRATIC: is_constant,
    Tag.CONVEX: is_convex,
    Tag.ILL_CONDITIONED: lambda surface, dim: 100 <= worst_condition(surface, dim) < np.inf,
    Tag.FLAT_MINIMUM: lambda surface, dim: worst_condition(surface, dim) == np.inf,
    Tag.MULTIMODAL: has_several_minima,
    Tag.SADDLE: lists_a_saddle,
    Tag.UNBOUNDED: is_unbounded,
    Tag.KINK: has_a_kink,
}


@pytest.mark.parametrize("tag", MEASURES)
@every_name
def test_tags_agree_with_measurements(name: str, tag: Tag) -> None:
    surface = SURFACES[name]()
    assert MEASURES[tag](surface, surface.default_dimension) == (tag in surface.tags) == (tag in surface.instance_tags)


@pytest.mark.parametrize("tag", MEASURES)
@pytest.mark.parametrize(
    "eigenvalues", [(1.0,), (-1.0,), (1.0, 2.0), (1.0, 100.0), (-1.0, 2.0), (-1.0, -2.0), (0.0, 1.0)], ids=str
)
def test_tags_of_a_quadratic_follow_its_eigenvalues(eigenvalues: tuple[float, ...], tag: Tag) -> None:
    surface = Quadratic(eigenvalues=eigenvalues, rotation=0.0)
    assert MEASURES[tag](surface, len(eigenvalues)) == (tag in surface.instance_tags)


@every_name
def test_a_ravine_is_ill_conditioned_and_a_plateau_is_flat(name: str) -> None:
    surface = SURFACES[name]()
    dim = surface.default_dimension
    if Tag.RAVINE in surface.tags:
        assert Tag.ILL_CONDITIONED in surface.tags
    slopes = np.sqrt((surface.gradient(points_of(surface, dim, 5000)) ** 2).sum(axis=0))
    assert (np.quantile(slopes, 1 / 4) < 1e-2 * slopes.max()) >= (Tag.PLATEAU in surface.tags)


def test_every_tag_is_used_and_has_a_meaning() -> None:
    assert set().union(*(cls.tags for cls in SURFACES.values())) == set(Tag)
    assert all(isinstance(tag, Tag) for cls in SURFACES.values() for tag in cls.tags)
    assert all(tag.meaning for tag in Tag)


@settings(max_examples=100, deadline=None)
@given(
    name=st.sampled_from(sorted(name for name in WRITTEN if Tag.CONVEX in SURFACES[name].tags)),
    ends=st.lists(st.floats(-50, 50), min_size=4, max_size=4),
    share=st.floats(0, 1),
)
def test_convex_surfaces_are_below_their_chords(name: str, ends: list[float], share: float) -> None:
    surface = SURFACES[name]()
    dim = surface.default_dimension
    a, b = np.array(ends[:dim])[:, np.newaxis], np.array(ends[-dim:])[:, np.newaxis]
    chord = share * surface.value(a)[0] + (1 - share) * surface.value(b)[0]
    assert surface.value(share * a + (1 - share) * b)[0] <= chord + 1e-12 * (1 + abs(chord))


# What single surfaces are known for


def test_the_tuned_heavy_ball_cycles_on_the_counterexample_of_lessard() -> None:
    """Lessard, Recht & Packard (2016), section 4.6: the limit cycle, which solves a linear system, is attracting."""
    lr, beta = 1 / 9, 4 / 9
    slopes = [(25.0, 0.0), (25.0, 0.0), (25.0, -24.0)]  # of the pieces in which the three points lie
    system, constant = np.zeros((3, 3)), np.zeros(3)
    for i, (slope, offset) in enumerate(slopes):
        following, before = (i + 1) % 3, (i - 1) % 3
        system[i, following] += 1
        system[i, i] -= 1 + beta - lr * slope
        system[i, before] += beta
        constant[i] = -lr * offset
    cycle = np.linalg.solve(system, constant)
    assert cycle == pytest.approx([792 / 1225, -2208 / 1225, 2592 / 1225], rel=1e-13)

    result = momentumlab.run(surface="lessard", optimizer="momentum", lr=lr, beta=beta, iterations=600)
    assert sorted(result.positions[0, -3:, 0]) == pytest.approx(sorted(cycle), rel=1e-10)
    gentle = momentumlab.run(surface="lessard", optimizer="sgd", lr=2 / 26, iterations=600)
    assert abs(gentle.final_points[0, 0]) < 1e-12


def test_the_hessian_at_a_kink_is_that_to_its_right() -> None:
    surface = SURFACES["lessard"]()
    kinks = np.array([[1.0, 2.0]])
    assert surface.hessian(kinks)[0, 0].tolist() == [1.0, 25.0]
    assert surface.hessian(np.nextafter(kinks, 0))[0, 0].tolist() == [25.0, 1.0]
    assert surface.gradient(kinks).tolist() == [[25.0, 26.0]]


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov", "adam"])
def test_no_method_beats_the_bound_of_nesterovs_worst_case(optimizer: str) -> None:
    """Theorem 2.1.7: after k iterations in 2k + 1 dimensions, and only k coordinates are awake."""
    k, smoothness = 6, 4.0
    start = [0.0] * (2 * k + 1)
    result = momentumlab.run(
        {"surface": "nesterov_worst_case", "optimizer": optimizer, "lr": "geomspace(0.01, 1, 12)", "iterations": k},
        start=start,
    )
    (best,) = SURFACES["nesterov_worst_case"]().minima(2 * k + 1)
    bound = 3 * smoothness * sum(c * c for c in best.point) / (32 * (k + 1) ** 2)
    heights = result.final_losses - best.loss
    assert heights.min() >= bound
    assert heights.min() < 12 * bound
    for i in range(k + 1):
        assert (result.positions[:, i, i:] == 0).all()
        assert i == 0 or (result.positions[:, i, i - 1] != 0).all()


def test_the_lowest_minimum_is_known_lane_by_lane() -> None:
    """Polyak's step needs the loss of the minimum, which here depends on a parameter that is an axis."""
    for surface in ({"name": "logistic_bowl", "p": [0.1, 0.5]}, {"name": "nesterov_worst_case", "smoothness": [1, 9]}):
        both = momentumlab.run({"surface": surface, "optimizer": "polyak_step", "iterations": 20})
        (name, values) = next((key, axis) for key, axis in surface.items() if key != "name")
        for trial, value in enumerate(values):
            alone = momentumlab.run({"surface": {**surface, name: value}, "optimizer": "polyak_step", "iterations": 20})
            assert alone.positions[0].tobytes() == both.positions[trial].tobytes()
            (best,) = alone.experiment.first_surface.minima(2)
            assert 0 <= alone.final_losses[0] - best.loss < 1e-2


@every_name
def test_theory_describes_every_surface(name: str) -> None:
    plan = make_plan(momentumlab.load({"surface": name, "optimizer": "sgd", "lr": 0.01}))
    said = PredictionReport(plan=plan)[0].points
    assert len(said) == len(SURFACES[name]().critical_points(plan.dimension))
    assert all(explanation(said))
