"""Contracts of surfaces."""

from collections.abc import Callable, Iterator

import numpy as np

from momentumlab.parameters import Array
from momentumlab.surfaces import SURFACES, CriticalKind, CriticalPoint, Surface
from momentumlab.testing.common import assert_documented, other_values
from momentumlab.testing.derivatives import disagreement

SEED = 20261120

POINTS = 40
DATA_POINTS = 4
"""Random points at which derivatives are tested; fewer on data, where each of them takes a pass through all rows."""

MOST_ROWS = 10
"""Number of rows of a large Hessian that are compared with differences of gradients."""

NEAR_ZERO = 1e-8
"""Tolerance for gradients and losses at critical points, relative to typical values in the window."""

AROUND = 1e-3
"""Distance at which the kind of a critical point is tested, relative to the width of the window."""


def is_documented(name: str) -> None:
    """It has a title, a source, a consistent window and start, and a description of every parameter."""
    cls = SURFACES[name]
    assert_documented(cls, "formula", "latex", "source")
    for parameter in cls.parameters():
        if isinstance(parameter.default, float):
            assert parameter.allows(parameter.default), (
                f"the default of {parameter.name}, {parameter.default:g}, is not within its bounds, {parameter.bounds}"
            )
    surface = cls()
    for dim in dimensions_of(surface):
        window, start = np.array(surface.window(dim), dtype=np.float64), np.array(surface.default_start(dim))
        assert window.shape == (dim, 2), f"the window has shape {window.shape}; expected {(dim, 2)}"
        assert start.shape == (dim,), f"the start has {start.size} coordinates, not {dim}"
        assert (window[:, 0] < window[:, 1]).all(), "an interval of the window is not (low, high)"
        assert np.isfinite(window).all(), "the window is not finite"
        inside = (window[:, 0] <= start) & (start <= window[:, 1])
        assert inside.all(), f"the start {start.tolist()} lies outside the window"


def has_correct_shapes(name: str) -> None:
    """Value and gradient have the shapes (lanes,) and (dim, lanes) and the type float64, for one and several lanes."""
    for surface, dim in variants_of(name):
        for lanes in (1, 2, 7):  # a single lane hides wrong axes
            x = points_in(surface, dim, lanes)
            shapes = {"value": (lanes,), "gradient": (dim, lanes), "hessian": (dim, dim, lanes)}
            for method in methods_of(surface):
                found, shape = np.asarray(getattr(surface, method)(x)), shapes[method]
                what = f"the {method} of {lanes} points with {dim} coordinates"
                hint = "; does a sum lack axis=0?" if found.ndim < len(shape) else ""
                assert found.shape == shape, f"{what} has shape {found.shape}; expected {shape}{hint}"
                assert found.dtype == np.float64, f"{what} has type {found.dtype}; expected float64"


def gradient_matches_value(name: str) -> None:
    """The gradient is the derivative of the value."""
    for surface, dim in variants_of(name):
        x = points_in(surface, dim, POINTS if surface.is_formula else DATA_POINTS)
        problem = disagreement("the gradient", surface.value, surface.gradient(x), x, widths_of(surface, dim))
        assert not problem, problem


def hessian_matches_gradient(name: str) -> None:
    """The Hessian, if there is one, is the derivative of the gradient, and symmetric."""
    for surface, dim in variants_of(name):
        if "hessian" not in methods_of(surface):
            return
        x = points_in(surface, dim, POINTS if surface.is_formula else DATA_POINTS)
        hessian, widths = surface.hessian(x), widths_of(surface, dim)
        asymmetry = np.abs(hessian - hessian.transpose(1, 0, 2))
        if (asymmetry > 1e-12 * np.abs(hessian).max(axis=(0, 1))).any():
            j, i, lane = np.unravel_index(int(asymmetry.argmax()), asymmetry.shape)
            raise AssertionError(
                f"the Hessian is not symmetric: [{i}, {j}] is {hessian[i, j, lane]:g} and [{j}, {i}] is "
                f"{hessian[j, i, lane]:g} at {tuple(x[:, lane].round(4).tolist())}"
            )
        # The differences of all rows need the gradient at the same points: compute it once for each of them.
        gradients: dict[bytes, Array] = {}
        for i in sorted(np.random.default_rng(SEED).permutation(dim)[:MOST_ROWS].tolist()):

            def component(
                x: Array, surface: Surface = surface, i: int = i, gradients: dict[bytes, Array] = gradients
            ) -> Array:
                key = x.tobytes()
                if key not in gradients:
                    gradients[key] = surface.gradient(x)
                return np.asarray(gradients[key][i])

            problem = disagreement(f"row {i} of the Hessian", component, hessian[i], x, widths, "the gradient says")
            assert not problem, problem


def is_pure(name: str) -> None:
    """Its methods do not change their arguments and are reproducible."""
    for surface, dim in variants_of(name):
        x = points_in(surface, dim)
        before = x.copy()
        for method in methods_of(surface):
            first, second = (np.array(getattr(surface, method)(x)) for _ in range(2))
            assert x.tobytes() == before.tobytes(), f"{method} changes the points passed to it"
            assert first.tobytes() == second.tobytes(), f"{method} returns different results for the same points"


def lanes_are_independent(name: str) -> None:
    """The result at a point does not depend on the other lanes, bit for bit."""
    for surface, dim in variants_of(name):
        x = points_in(surface, dim, 37)
        for method in methods_of(surface):
            together = getattr(surface, method)(x)
            for lane in (0, 5, 36):
                alone = getattr(surface, method)(np.ascontiguousarray(x[:, lane : lane + 1]))
                assert_same(method, alone[..., 0], together[..., lane])


def parameters_may_vary_by_lane(name: str) -> None:
    """Each numeric parameter may be an array with a value per lane."""
    cls = SURFACES[name]
    x = points_in(cls(), cls().default_dimension, 3)
    for parameter in cls.parameters():
        if parameter.shared:
            continue
        # Each lane of an array must give the numbers of a surface with that value only.
        values = np.array([parameter.default, other_values(parameter)[-1], parameter.default])
        try:
            together = cls(**{parameter.name: values})
            for method in methods_of(together):
                results = getattr(together, method)(x)
                for lane in range(3):
                    alone = cls(**{parameter.name: values[lane : lane + 1]})
                    result = getattr(alone, method)(np.ascontiguousarray(x[:, lane : lane + 1]))
                    assert_same(f"{method}, with an array for {parameter.name},", result[..., 0], results[..., lane])
        except (ValueError, TypeError) as error:
            remedy = "use np.where instead of 'if', or parameter(…, shared=True)"
            raise AssertionError(f"{parameter.name} must accept an array: {error}; {remedy}") from error


def every_parameter_has_an_effect(name: str) -> None:
    """Every parameter of a formula changes the value or the sampled gradient."""
    cls = SURFACES[name]
    if not cls.is_formula:  # surfaces on data also have parameters for reading the data
        return
    x = points_in(cls(), cls().default_dimension)
    for parameter in cls.parameters():
        changed = cls(**{parameter.name: other_values(parameter)[-1]})
        assert _results(changed, x) != _results(cls(), x), f"{parameter.name} has no effect"


def _results(surface: Surface, x: Array) -> tuple[bytes, bytes]:
    """Return the value and the gradient that an optimizer receives."""
    replicates = np.zeros(x.shape[1], dtype=np.int64)
    g = surface.sampled_gradient(x, 0, replicates, SEED) if surface.is_sampled else surface.gradient(x)
    return surface.value(x).tobytes(), g.tobytes()


def is_finite_in_the_window(name: str) -> None:
    """Value and gradient are finite everywhere in the window."""
    for surface, dim in variants_of(name):
        low, high = np.array(surface.window(dim)).T
        corners = np.stack([low, high, (low + high) / 2], axis=1)
        x = np.concatenate([points_in(surface, dim, 1000), corners], axis=1)
        for method in ("value", "gradient"):
            bad = ~np.isfinite(getattr(surface, method)(x)).reshape(-1, x.shape[1]).all(axis=0)
            where = x[:, bad][:, :1].ravel().round(6).tolist()
            assert not bad.any(), f"the {method} is not finite at {tuple(where)}"


def critical_points_are_correct(name: str) -> None:
    """Critical points have zero gradient, the stated loss and kind, and no loss is below a global minimum."""
    for surface, dim in variants_of(name):
        x = points_in(surface, dim, 2000)
        values = surface.value(x)
        usual, height = float(np.median(np.abs(surface.gradient(x)))), float(np.ptp(values))
        for stated in surface.critical_points(dim):
            what = f"the {stated.kind.value} at {tuple(round(float(c), 6) for c in stated.point)}"
            assert len(stated.point) == dim, f"{what} has {len(stated.point)} coordinates, not {dim}"
            point = np.array(stated.point, dtype=np.float64)[:, np.newaxis]
            # Gradient and loss at the point, relative to typical values in the window.
            slope, loss = float(np.abs(surface.gradient(point)).max()), float(surface.value(point)[0])
            assert slope <= NEAR_ZERO * max(usual, 1.0), f"{what}: the gradient there is {slope:.3g}, not zero"
            allowed = NEAR_ZERO * max(height, abs(loss))
            assert abs(loss - stated.loss) <= allowed, f"{what}: the loss there is {loss:.10g}, not {stated.loss:.10g}"
            _assert_kind(surface, stated, what)
            if stated.kind is CriticalKind.GLOBAL_MINIMUM:
                lowest = int(values.argmin())
                assert values[lowest] >= stated.loss - allowed, (
                    f"{what}: the loss is lower at {tuple(x[:, lowest].round(4).tolist())}: {values[lowest]:.6g}"
                )


def _assert_kind(surface: Surface, stated: CriticalPoint, what: str) -> None:
    """Check the kind of a critical point by the losses at random points close to it."""
    directions = np.random.default_rng(SEED).normal(size=(len(stated.point), 500))
    directions /= np.sqrt((directions**2).sum(axis=0))
    steps = AROUND * widths_of(surface, len(stated.point))[:, np.newaxis] * directions
    point = np.array(stated.point)[:, np.newaxis]
    losses = surface.value(point + steps) - surface.value(point)
    rounding = 64 * np.spacing(max(1.0, abs(stated.loss)))
    rises, falls = bool((losses > rounding).any()), bool((losses < -rounding).any())
    if not (rises or falls):  # too flat to decide
        return
    found = "a saddle" if rises and falls else "a minimum" if rises else "a maximum"
    expected = {CriticalKind.SADDLE: "a saddle", CriticalKind.MAXIMUM: "a maximum"}.get(stated.kind, "a minimum")
    assert found == expected, f"{what}: by the losses around it, it is {found}"


SURFACE_CONTRACTS: tuple[Callable[[str], None], ...] = (
    is_documented,
    has_correct_shapes,
    gradient_matches_value,
    hessian_matches_gradient,
    is_pure,
    lanes_are_independent,
    parameters_may_vary_by_lane,
    every_parameter_has_an_effect,
    is_finite_in_the_window,
    critical_points_are_correct,
)


def variants_of(name: str) -> Iterator[tuple[Surface, int]]:
    """Yield a surface and a dimension: the defaults in several dimensions, then other parameter values."""
    cls = SURFACES[name]
    surface = cls()
    yield from ((surface, dim) for dim in dimensions_of(surface))
    changed = {p.name: other_values(p)[-1] for p in cls.parameters() if isinstance(p.default, float) and not p.shared}
    if changed:
        yield cls(**changed), surface.default_dimension


def dimensions_of(surface: Surface) -> list[int]:
    """Return the dimensions in which a surface is tested."""
    if surface.required_dimension is not None:
        return [surface.required_dimension]
    dimensions = {surface.default_dimension, surface.least_dimension, max(5, surface.least_dimension)}
    return sorted(dim for dim in dimensions if _is_defined(surface, dim))


def _is_defined(surface: Surface, dim: int) -> bool:
    try:
        surface.check_dimension(dim)
    except ValueError:
        return False
    return True


def points_in(surface: Surface, dim: int, count: int = POINTS) -> Array:
    """Return reproducible random points in the window, ``(dim, count)``."""
    low, high = np.array(surface.window(dim), dtype=np.float64).T
    points = np.random.default_rng(SEED).uniform(low, high, size=(count, dim))
    return np.ascontiguousarray(points.T)


def widths_of(surface: Surface, dim: int) -> Array:
    """Return the width of the window along each coordinate, ``(dim,)``."""
    low, high = np.array(surface.window(dim), dtype=np.float64).T
    return np.asarray(high - low)


def methods_of(surface: Surface) -> list[str]:
    """Return the names of the functions of points that a surface defines."""
    has_hessian = type(surface).hessian is not Surface.hessian
    return ["value", "gradient", "hessian"] if has_hessian else ["value", "gradient"]


def assert_same(what: str, alone: Array, together: Array) -> None:
    """Check that two results are identical bit for bit, and give the most likely cause if they are not."""
    if np.array_equal(alone, together, equal_nan=True):
        return
    cause = "do lanes, the last axis, mix?"
    if np.allclose(alone, together, rtol=1e-12, atol=1e-300):
        cause = (
            "a difference in rounding, because NumPy's sums and BLAS round differently for other numbers of lanes; "
            "use momentumlab.surfaces.base.sum_coordinates"
        )
    one, other = (np.array2string(np.asarray(value), precision=17, threshold=4) for value in (alone, together))
    raise AssertionError(f"{what} is {one} for a single point and {other} in a batch: {cause}")
