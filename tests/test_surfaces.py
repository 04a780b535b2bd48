"""What every surface promises. A new surface in the catalogue is tested by all of this with nothing to add here."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momentumlab.catalogue import Array
from momentumlab.surfaces import SURFACES, CriticalKind, Surface
from momentumlab.surfaces.base import matrix_product, sum_coordinates
from momentumlab.surfaces.quadratics import Quadratic

RNG = np.random.default_rng(20261120)


def variants() -> Iterator[tuple[str, Surface, int]]:
    """Every surface with its defaults, with every parameter off its default, and in several dimensions."""
    for name, cls in SURFACES.items():
        surface = cls()
        yield name, surface, surface.default_dimension
        if surface.required_dimension is None:
            yield f"{name}-5d", surface, 5
        moved = {p.name: 1.7 * p.default for p in cls.parameters() if isinstance(p.default, float) and p.default}
        if moved:
            yield f"{name}-moved", cls(**moved), surface.default_dimension
    yield "quadratic-rotated", Quadratic(eigenvalues=(0.5, 2.0, 9.0), rotation=25.0), 3
    yield "quadratic-saddle", Quadratic(eigenvalues=(-1.0, 2.0), rotation=70.0), 2
    yield "quadratic-hill", Quadratic(eigenvalues=(-1.0, -2.0)), 2


every_surface = pytest.mark.parametrize(
    ("surface", "dim"), [pytest.param(surface, dim, id=name) for name, surface, dim in variants()]
)


def points_of(surface: Surface, dim: int, count: int = 40) -> Array:
    low, high = np.array(surface.window(dim)).T
    return RNG.uniform(low, high, size=(count, dim)).T


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
        eigenvalues = np.linalg.eigvalsh(surface.hessian(x)[:, :, 0])
        scale = np.abs(eigenvalues).max()
        assert np.abs(surface.gradient(x)).max() <= 1e-13 * scale
        assert surface.value(x)[0] == pytest.approx(critical.loss, rel=1e-14, abs=1e-25)
        if critical.kind.is_minimum:
            assert eigenvalues.min() > 0
        elif critical.kind is CriticalKind.MAXIMUM:
            assert eigenvalues.max() < 0
        else:
            assert eigenvalues.min() < 0 < eigenvalues.max()


@every_surface
def test_nothing_in_the_window_lies_below_a_global_minimum(surface: Surface, dim: int) -> None:
    lowest = [point.loss for point in surface.minima(dim) if point.kind is CriticalKind.GLOBAL_MINIMUM]
    if lowest:
        assert surface.value(points_of(surface, dim, 20_000)).min() >= lowest[0]


@pytest.mark.parametrize("name", SURFACES)
def test_newton_from_many_starts_finds_no_minimum_that_is_not_listed(name: str) -> None:
    surface = SURFACES[name]()
    dim = surface.default_dimension
    x = points_of(surface, dim, 300)
    for _ in range(60):
        hessian, gradient = np.moveaxis(surface.hessian(x), 2, 0), surface.gradient(x).T
        x = x - np.linalg.solve(hessian, gradient[:, :, np.newaxis])[:, :, 0].T
    known = np.array([point.point for point in surface.critical_points(dim)]).T
    flat = np.abs(surface.gradient(x)).max(axis=0) < 1e-9
    assert flat.sum() > 100
    for end in x[:, flat].T:
        convex = np.linalg.eigvalsh(surface.hessian(end[:, np.newaxis])[:, :, 0]).min() > 1e-6
        distance = np.abs(known - end[:, np.newaxis]).max(axis=0).min()
        assert distance < 1e-6 or not convex, f"an unlisted minimum at {end}"


@every_surface
def test_lanes_are_independent_to_the_last_bit(surface: Surface, dim: int) -> None:
    x = points_of(surface, dim, 37)
    values, gradients = surface.value(x), surface.gradient(x)
    for lane in (0, 5, 36):
        alone = np.ascontiguousarray(x[:, lane : lane + 1])
        assert surface.value(alone)[0] == values[lane]
        assert surface.gradient(alone)[:, 0].tolist() == gradients[:, lane].tolist()


@every_surface
def test_value_and_gradient_are_pure(surface: Surface, dim: int) -> None:
    x = points_of(surface, dim)
    before = x.copy()
    surface.value(x)
    surface.gradient(x)
    surface.hessian(x)
    assert x.tobytes() == before.tobytes()


@pytest.mark.parametrize("name", SURFACES)
def test_a_surface_says_all_that_people_need(name: str) -> None:
    cls = SURFACES[name]
    surface = cls()
    dim = surface.default_dimension
    assert cls.formula
    assert cls.latex
    assert cls.source
    assert cls.__doc__
    window = np.array(surface.window(dim))
    assert window.shape == (dim, 2)
    start = np.array(surface.default_start(dim))
    assert ((window[:, 0] <= start) & (start <= window[:, 1])).all()
    for point in surface.minima(dim):
        assert ((window[:, 0] <= point.point) & (point.point <= window[:, 1])).all()
    assert np.abs(surface.gradient(start[:, np.newaxis])).max() > 0


@pytest.mark.parametrize("name", SURFACES)
def test_every_parameter_of_a_surface_changes_it(name: str) -> None:
    cls = SURFACES[name]
    x = points_of(cls(), cls().default_dimension)
    for parameter in cls.parameters():
        default = parameter.default
        other = tuple(2 * v for v in default) if isinstance(default, tuple) else float(default) + 0.7
        assert (cls(**{parameter.name: other}).value(x) != cls().value(x)).any()


@settings(max_examples=50, deadline=None)
@given(angle=st.floats(-360, 360), eigenvalues=st.lists(st.floats(-10, 10), min_size=1, max_size=6))
def test_a_quadratic_has_the_stated_eigenvalues_whatever_its_rotation(angle: float, eigenvalues: list[float]) -> None:
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
