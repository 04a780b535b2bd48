"""Derivatives and critical points of surfaces in more detail than their contracts; see also test_checking."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momentumlab.parameters import Array
from momentumlab.surfaces import SURFACES, CriticalKind, CriticalPoint, Surface, Tag
from momentumlab.surfaces.base import matrix_product, sum_coordinates
from momentumlab.surfaces.quadratics import Quadratic

RNG = np.random.default_rng(20261120)

ISOLATED = [
    name for name, cls in SURFACES.items() if cls.is_formula and Tag.BBOB not in cls.tags and name != "noisy_valley"
]
"""Surfaces with a Hessian and isolated minima."""


def other_than(default: float) -> float:
    """Return another value of a parameter; an integer if the default is large enough to be a count."""
    return 1.7 * default if default < 5 else float(round(1.7 * default))


def variants() -> Iterator[tuple[str, Surface, int]]:
    """Yield every surface with its defaults, with other parameters, and in several dimensions."""
    for name, cls in SURFACES.items():
        if Tag.BBOB in cls.tags:  # these have no Hessian; see test_bbob
            continue
        surface = cls()
        yield name, surface, surface.default_dimension
        if surface.required_dimension is None:
            yield f"{name}-{cls.least_dimension}d", surface, cls.least_dimension
            yield f"{name}-10d", surface, 10
        moved = {p.name: other_than(p.default) for p in cls.parameters() if isinstance(p.default, float) and p.default}
        if moved:
            yield f"{name}-moved", cls(**moved), cls(**moved).default_dimension
    yield "quadratic-rotated", Quadratic(eigenvalues=(0.5, 2.0, 9.0), rotation=25.0), 3
    yield "quadratic-saddle", Quadratic(eigenvalues=(-1.0, 2.0), rotation=70.0), 2
    yield "quadratic-hill", Quadratic(eigenvalues=(-1.0, -2.0)), 2


every_surface = pytest.mark.parametrize(
    ("surface", "dim"), [pytest.param(surface, dim, id=name) for name, surface, dim in variants()]
)


def points_of(surface: Surface, dim: int, count: int | None = None) -> Array:
    count = count or (40 if dim < 20 else 8)
    low, high = np.array(surface.window(dim)).T
    # The same points, whichever tests have run before.
    return np.random.default_rng([20261120, dim, count]).uniform(low, high, size=(count, dim)).T


@every_surface
def test_gradient_is_the_complex_step_derivative_of_the_value(surface: Surface, dim: int) -> None:
    x = points_of(surface, dim)
    h = 1e-30
    expected = []
    for i in range(dim):
        step = x.astype(np.complex128)
        step[i] += 1j * h
        expected.append(surface.value(step).imag / h)  # type: ignore[arg-type]
    scale = np.abs(expected).max()
    np.testing.assert_allclose(surface.gradient(x), expected, rtol=1e-12, atol=1e-14 * scale)


@every_surface
def test_hessian_is_the_complex_step_derivative_of_the_gradient(surface: Surface, dim: int) -> None:
    x = points_of(surface, dim)
    h = 1e-30
    hessian = surface.hessian(x)
    assert hessian.shape == (dim, dim, x.shape[1])
    for i in range(dim):
        step = x.astype(np.complex128)
        step[i] += 1j * h
        expected = surface.gradient(step).imag / h  # type: ignore[arg-type]
        np.testing.assert_allclose(hessian[i], expected, rtol=1e-12, atol=1e-14 * np.abs(hessian).max())


@every_surface
def test_critical_points_have_no_gradient_and_the_stated_loss_and_kind(surface: Surface, dim: int) -> None:
    for critical in surface.critical_points(dim):
        x = np.array(critical.point)[:, np.newaxis]
        hessian = surface.hessian(x)[:, :, 0]
        is_finite = bool(np.isfinite(hessian).all())
        eigenvalues = np.linalg.eigvalsh(hessian) if is_finite else np.zeros(dim)
        scale = np.abs(eigenvalues).max()
        assert np.abs(surface.gradient(x)).max() <= 1e-13 * scale
        assert surface.value(x)[0] == pytest.approx(critical.loss, rel=1e-14, abs=1e-25)
        if np.abs(eigenvalues).min() <= 1e-9 * scale:  # curvatures do not determine the kind
            assert_kind_by_the_losses_around(surface, critical)
        elif critical.kind.is_minimum:
            assert eigenvalues.min() > 0
        elif critical.kind is CriticalKind.MAXIMUM:
            assert eigenvalues.max() < 0
        else:
            assert eigenvalues.min() < 0 < eigenvalues.max()


def assert_kind_by_the_losses_around(surface: Surface, critical: CriticalPoint) -> None:
    directions = RNG.normal(size=(len(critical.point), 500))
    directions /= np.sqrt((directions**2).sum(axis=0))
    around = surface.value(np.array(critical.point)[:, np.newaxis] + 0.01 * directions) - critical.loss
    assert (around > 0).any() == (critical.kind is not CriticalKind.MAXIMUM)
    assert (around < 0).any() == (not critical.kind.is_minimum)


def descended(surface: Surface, x: Array) -> Array:
    """Return the minima in the window that a descent from many points finds, ``(dim, found)``.

    The descent is Newton's method with absolute curvatures and steps of at most a fiftieth of the window.
    """
    low, high = np.array(surface.window(len(x)))[:, :, np.newaxis].transpose(1, 0, 2)
    longest = 0.02 * (high - low)
    for _ in range(150):
        curvatures, vectors = np.linalg.eigh(np.moveaxis(surface.hessian(x), 2, 0))
        along = np.einsum("nij,in->nj", vectors, surface.gradient(x)) / np.maximum(np.abs(curvatures), 1e-12)
        step = np.einsum("nij,nj->in", vectors, along)
        x = x - step / np.maximum(1.0, np.abs(step / longest).max(axis=0))
    inside = ((low <= x) & (x <= high)).all(axis=0) & (np.abs(surface.gradient(x)).max(axis=0) < 1e-9)
    curvatures = np.linalg.eigvalsh(np.moveaxis(surface.hessian(x[:, inside]), 2, 0)).min(axis=1)
    return x[:, inside][:, curvatures > 1e-6]


@pytest.mark.parametrize("name", ISOLATED)
def test_descents_from_many_starts_find_exactly_the_listed_minima(name: str) -> None:
    surface = SURFACES[name]()
    dim = surface.default_dimension
    found = descended(surface, points_of(surface, dim, 300))
    known = np.array([point.point for point in surface.minima(dim)]).reshape(-1, dim).T
    distances = np.abs(known[:, :, np.newaxis] - found[:, np.newaxis]).max(axis=0)
    strangers = found[:, (distances > 1e-6).all(axis=0)]
    assert (strangers.size > 0) == (not surface.lists_all_minima), f"unlisted minima at {strangers.T}"
    smooth = np.isfinite(surface.hessian(known)).all(axis=(0, 1)) & (Tag.FLAT_MINIMUM not in surface.tags)
    assert (distances[smooth] <= 1e-6).any(axis=1).all(), "a listed minimum that no descent finds"


@pytest.mark.parametrize("name", SURFACES)
def test_windows_contain_the_critical_points_and_lie_in_the_domain(name: str) -> None:
    surface = SURFACES[name]()
    dim = surface.default_dimension
    window = np.array(surface.window(dim))
    for critical in surface.critical_points(dim):
        assert ((window[:, 0] <= critical.point) & (critical.point <= window[:, 1])).all()
    if surface.domain is not None:
        assert np.shape(surface.domain) == (dim, 2)
        assert (np.array(surface.domain)[:, 0] <= window[:, 0]).all()
        assert (window[:, 1] <= np.array(surface.domain)[:, 1]).all()


@settings(max_examples=50, deadline=None)
@given(angle=st.floats(-360, 360), eigenvalues=st.lists(st.floats(-10, 10), min_size=1, max_size=6))
def test_a_quadratic_has_the_stated_eigenvalues_for_any_rotation(angle: float, eigenvalues: list[float]) -> None:
    surface = Quadratic(eigenvalues=tuple(eigenvalues), rotation=angle)
    found = np.linalg.eigvalsh(surface.hessian(np.zeros((len(eigenvalues), 1)))[:, :, 0])
    assert found == pytest.approx(sorted(eigenvalues), abs=1e-13)


def test_sums_over_coordinates_do_not_depend_on_the_number_of_lanes() -> None:
    for dim in (1, 2, 7, 8, 9, 64, 1000):
        terms = RNG.normal(size=(dim, 1500))
        many = sum_coordinates(terms)
        few = [sum_coordinates(np.ascontiguousarray(terms[:, i : i + 1]))[0] for i in range(0, 1500, 300)]
        assert many[::300].tolist() == few
        np.testing.assert_allclose(many, terms.sum(axis=0), atol=1e-12)


def test_matrix_products_agree_with_numpy() -> None:
    matrix, x = RNG.normal(size=(6, 6)), RNG.normal(size=(6, 11))
    np.testing.assert_allclose(matrix_product(matrix, x), matrix @ x, rtol=1e-13, atol=1e-14)
