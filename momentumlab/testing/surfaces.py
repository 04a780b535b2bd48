"""The contracts of surfaces. Each function raises `AssertionError` with the problem if its contract is broken."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from momentumlab.registry import Array, Parameter
from momentumlab.surfaces import SURFACES, CriticalKind, CriticalPoint, Surface
from momentumlab.testing.derivatives import disagreement
from momentumlab.testing.words import assert_texts, assert_titled

SEED = 20261120

SEVERAL = (1, 2, 7)
"""Numbers of lanes; a single lane hides wrong axes."""

POINTS = 40
FEW_POINTS = 4

MOST_ROWS = 10
"""The number of rows of a large Hessian that are compared with differences of gradients."""

NEAR_ZERO = 1e-8
"""A gradient below this share of the typical one in the view is zero; losses must agree to this share."""

AROUND = 1e-3
"""The distance at which the kind of a critical point is tested, as a share of the width of the view."""


def says_all_that_people_need_of_it(name: str) -> None:
    """It has a title, a source, a consistent view and start, and a description of every parameter."""
    cls = SURFACES[name]
    assert_titled(cls)
    assert_texts(cls, "formula", "latex", "source")
    for parameter in cls.parameters():
        assert parameter.doc, f"the parameter {parameter.name} has no doc"
        if isinstance(parameter.default, float):
            assert is_within(parameter, parameter.default), (
                f"the default of {parameter.name}, {parameter.default:g}, is not within its bounds, {parameter.bounds}"
            )
    surface = cls()
    for dim in dimensions_of(surface):
        window, start = np.array(surface.window(dim), dtype=np.float64), np.array(surface.default_start(dim))
        assert window.shape == (dim, 2), f"the view has the shape {window.shape}, not an interval per coordinate: {dim}"
        assert start.shape == (dim,), f"the start has {start.size} coordinates, not {dim}"
        assert (window[:, 0] < window[:, 1]).all(), "an interval of the view is not (low, high)"
        assert np.isfinite(window).all(), "the view is not finite"
        inside = (window[:, 0] <= start) & (start <= window[:, 1])
        assert inside.all(), f"the start {start.tolist()} lies outside the view"


def gives_the_right_shapes(name: str) -> None:
    """Value and gradient have the shapes (lanes,) and (dim, lanes), in float64, for one lane and for several."""
    for surface, dim in variants_of(name):
        for lanes in SEVERAL:
            x = points_in(surface, dim, lanes)
            wanted = {"value": (lanes,), "gradient": (dim, lanes), "hessian": (dim, dim, lanes)}
            for method, shape in wanted.items():
                if method == "hessian" and not has_hessian(surface):
                    continue
                found = getattr(surface, method)(x)
                kind = f"of {lanes} points of {dim} coordinates"
                hint = "; does a sum lack axis=0?" if np.ndim(found) < len(shape) else ""
                assert np.shape(found) == shape, (
                    f"the {method} {kind} has the shape {np.shape(found)}, not {shape}{hint}"
                )
                dtype = np.asarray(found).dtype
                assert dtype == np.float64, f"the {method} {kind} is of the type {dtype}, not float64"


def has_the_gradient_of_its_value(name: str) -> None:
    """The gradient is the derivative of the value."""
    for surface, dim in variants_of(name):
        x = points_in(surface, dim)
        wrong = disagreement("the gradient", surface.value, surface.gradient(x), x, widths_of(surface, dim))
        assert not wrong, wrong


def has_the_hessian_of_its_gradient(name: str) -> None:
    """The Hessian, if it has one, is the derivative of the gradient, and symmetric."""
    for surface, dim in variants_of(name):
        if not has_hessian(surface):
            return
        x = points_in(surface, dim, POINTS if surface.is_formula else FEW_POINTS)
        hessian = surface.hessian(x)
        for i in range(dim):
            for j in range(i):
                one, other = hessian[i, j], hessian[j, i]
                worst = np.argmax(np.abs(one - other))
                size = np.abs(hessian[:, :, worst]).max()
                assert abs(one[worst] - other[worst]) <= 1e-12 * size, (
                    f"the Hessian is not symmetric: [{i}, {j}] is {one[worst]:g} and [{j}, {i}] is {other[worst]:g} "
                    f"at {tuple(x[:, worst].round(4).tolist())}"
                )
        some = np.random.default_rng(SEED).permutation(dim)[:MOST_ROWS].tolist()
        for i in sorted(some):
            slope = functools.partial(_component, surface, i)
            widths = widths_of(surface, dim)
            wrong = disagreement(f"row {i} of the Hessian", slope, hessian[i], x, widths, "the gradient says")
            assert not wrong, wrong


def _component(surface: Surface, i: int, x: Array) -> Array:
    component: Array = surface.gradient(x)[i]
    return component


def is_pure(name: str) -> None:
    """Its methods do not change their arguments and are reproducible."""
    for surface, dim in variants_of(name):
        x = points_in(surface, dim)
        before = x.copy()
        for method in methods_of(surface):
            first, second = (np.array(getattr(surface, method)(x)) for _ in range(2))
            assert x.tobytes() == before.tobytes(), f"{method} changes the points that it is given"
            assert first.tobytes() == second.tobytes(), f"{method} gives two answers for the same points"


def keeps_lanes_apart(name: str) -> None:
    """The result at a point does not depend on the other lanes, bit for bit."""
    for surface, dim in variants_of(name):
        x = points_in(surface, dim, 37)
        for method in methods_of(surface):
            together = getattr(surface, method)(x)
            for lane in (0, 5, 36):
                alone = getattr(surface, method)(np.ascontiguousarray(x[:, lane : lane + 1]))
                assert_same(method, alone[..., 0], together[..., lane])


def takes_parameters_that_differ(name: str) -> None:
    """Each numeric parameter may be an array with a value per lane."""
    cls = SURFACES[name]
    dim = cls().default_dimension
    for parameter in cls.parameters():
        if parameter.shared:
            continue
        values = np.array([parameter.default, another(parameter), parameter.default])
        try:
            together = cls(**{parameter.name: values})
            x = points_in(cls(), dim, 3)
            for method in methods_of(together):
                of_all = getattr(together, method)(x)
                for lane in range(3):
                    alone = cls(**{parameter.name: values[lane : lane + 1]})
                    of_one = getattr(alone, method)(np.ascontiguousarray(x[:, lane : lane + 1]))
                    assert_same(f"{method}, with an array for {parameter.name},", of_one[..., 0], of_all[..., lane])
        except (ValueError, TypeError) as error:
            hint = "np.where in place of 'if', or parameter(…, shared=True)"
            raise AssertionError(f"{parameter.name} may not be an array: {error}; {hint}") from error


def has_no_idle_parameter(name: str) -> None:
    """Every parameter of a formula changes the value; surfaces on data also have parameters for reading data."""
    cls = SURFACES[name]
    if not cls.is_formula:
        return
    x = points_in(cls(), cls().default_dimension)
    for parameter in cls.parameters():
        changed = cls(**{parameter.name: another(parameter)})
        assert changed.value(x).tobytes() != cls().value(x).tobytes(), f"{parameter.name} has no effect"


def is_finite_in_the_view(name: str) -> None:
    """Value and gradient are finite everywhere in the view."""
    for surface, dim in variants_of(name):
        low, high = np.array(surface.window(dim)).T
        corners = np.stack([low, high, (low + high) / 2], axis=1)
        x = np.concatenate([points_in(surface, dim, 1000), corners], axis=1)
        for method in ("value", "gradient"):
            bad = ~np.isfinite(getattr(surface, method)(x)).reshape(-1, x.shape[1]).all(axis=0)
            where = x[:, bad][:, :1].ravel().round(6).tolist()
            assert not bad.any(), f"the {method} is not finite at {tuple(where)}"


def knows_its_critical_points(name: str) -> None:
    """Its critical points have zero gradient, the stated loss and kind, and no loss is below a global minimum."""
    for surface, dim in variants_of(name):
        x = points_in(surface, dim, 2000)
        values = surface.value(x)
        usual, height = float(np.median(np.abs(surface.gradient(x)))), float(np.ptp(values))
        for stated in surface.critical_points(dim):
            what = f"the {stated.kind.value} at {tuple(round(float(c), 6) for c in stated.point)}"
            assert len(stated.point) == dim, f"{what} has {len(stated.point)} coordinates, not {dim}"
            point = np.array(stated.point, dtype=np.float64)[:, np.newaxis]
            slope, loss = float(np.abs(surface.gradient(point)).max()), float(surface.value(point)[0])
            assert slope <= NEAR_ZERO * max(usual, 1.0), f"{what}: the gradient there is not zero but {slope:.3g}"
            allowed = NEAR_ZERO * max(height, abs(loss))
            assert abs(loss - stated.loss) <= allowed, f"{what}: the loss there is {loss:.10g}, not {stated.loss:.10g}"
            _check_kind(surface, stated, what)
            if stated.kind is CriticalKind.GLOBAL_MINIMUM:
                lowest = int(values.argmin())
                assert values[lowest] >= stated.loss - allowed, (
                    f"{what}: {tuple(x[:, lowest].round(4).tolist())} lies lower: {values[lowest]:.6g}"
                )


def _check_kind(surface: Surface, stated: CriticalPoint, what: str) -> None:
    directions = np.random.default_rng(SEED).normal(size=(len(stated.point), 500))
    directions /= np.sqrt((directions**2).sum(axis=0))
    steps = AROUND * widths_of(surface, len(stated.point))[:, np.newaxis] * directions
    point = np.array(stated.point)[:, np.newaxis]
    losses = surface.value(point + steps) - surface.value(point)
    rounding = 64 * np.spacing(max(1.0, abs(stated.loss)))
    rises, falls = bool((losses > rounding).any()), bool((losses < -rounding).any())
    if not (rises or falls):  # too flat to tell
        return
    found = "a saddle" if rises and falls else "a minimum" if rises else "a maximum"
    wanted = {CriticalKind.SADDLE: "a saddle", CriticalKind.MAXIMUM: "a maximum"}.get(stated.kind, "a minimum")
    assert found == wanted, f"{what}: the losses around it say that it is {found}"


SURFACE_CONTRACTS: tuple[Callable[[str], None], ...] = (
    says_all_that_people_need_of_it,
    gives_the_right_shapes,
    has_the_gradient_of_its_value,
    has_the_hessian_of_its_gradient,
    is_pure,
    keeps_lanes_apart,
    takes_parameters_that_differ,
    has_no_idle_parameter,
    is_finite_in_the_view,
    knows_its_critical_points,
)


def variants_of(name: str) -> Iterator[tuple[Surface, int]]:
    """Return the surface with its defaults in several dimensions, if it has several, and with other parameter values.

    Yields
    ------
    surface, dim
        And the number of coordinates in which it is to be looked at.
    """
    cls = SURFACES[name]
    surface = cls()
    yield from ((surface, dim) for dim in dimensions_of(surface))
    moved = {p.name: another(p) for p in cls.parameters() if isinstance(p.default, float) and not p.shared}
    if moved:
        yield cls(**moved), surface.default_dimension


def dimensions_of(surface: Surface) -> list[int]:
    """Return the dimensions in which it is tested."""
    if surface.required_dimension is not None:
        return [surface.required_dimension]
    return sorted({surface.default_dimension, surface.least_dimension, max(5, surface.least_dimension)})


def another(parameter: Parameter) -> Any:
    """Return a valid value other than the default."""
    default = parameter.default
    if isinstance(default, bool):
        return not default
    if isinstance(default, str):
        return next(choice for choice in parameter.choices if choice != default)
    if isinstance(default, tuple):
        return tuple(2 * value for value in default)
    candidates = [1.7 * default, default + 0.7, default / 1.7, default - 0.7]
    return next(value for value in candidates if value != default and is_within(parameter, value))


def is_within(parameter: Parameter, value: float) -> bool:
    """Return whether a number is within the declared bounds."""
    return bool(
        (parameter.gt is None or value > parameter.gt)
        and (parameter.ge is None or value >= parameter.ge)
        and (parameter.lt is None or value < parameter.lt)
        and (parameter.le is None or value <= parameter.le)
    )


def points_in(surface: Surface, dim: int, count: int = POINTS) -> Array:
    """Return reproducible random points in the view, ``(dim, count)``."""
    low, high = np.array(surface.window(dim), dtype=np.float64).T
    points = np.random.default_rng(SEED).uniform(low, high, size=(count, dim))
    return np.ascontiguousarray(points.T)


def widths_of(surface: Surface, dim: int) -> Array:
    """Return the width of the view along each coordinate, ``(dim,)``."""
    low, high = np.array(surface.window(dim), dtype=np.float64).T
    widths: Array = high - low
    return widths


def has_hessian(surface: Surface) -> bool:
    """Return whether the class has a Hessian."""
    return type(surface).hessian is not Surface.hessian


def methods_of(surface: Surface) -> list[str]:
    """Return its functions of points."""
    return ["value", "gradient", *(["hessian"] if has_hessian(surface) else [])]


def assert_same(what: str, alone: Array, together: Array) -> None:
    """Check that two results are identical bit for bit, and name the most likely cause if they are not."""
    if np.array_equal(alone, together, equal_nan=True):
        return
    near = np.allclose(alone, together, rtol=1e-12, atol=1e-300)
    cause = (
        "rounding only: NumPy's sums over coordinates and BLAS round differently for other numbers of lanes; "
        "see momentumlab.surfaces.base.sum_coordinates"
        if near
        else "do lanes, the last axis, mix?"
    )
    raise AssertionError(f"{what} is {_short(alone)} for a single point and {_short(together)} in a batch: {cause}")


def _short(value: Array) -> str:
    return np.array2string(np.asarray(value), precision=17, threshold=4)
