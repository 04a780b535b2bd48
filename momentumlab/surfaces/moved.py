"""Rotated and shifted variants of other surfaces, named ``moved(rosenbrock)``."""

import dataclasses
import functools
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, cast

import numpy as np

from momentumlab.errors import ConfigError
from momentumlab.parameters import Array, parameter, parameters_of
from momentumlab.surfaces.base import (
    SURFACES,
    CriticalPoint,
    Intervals,
    Surface,
    Tag,
    matrix_product,
    plane_rotations,
)


@dataclass(frozen=True, kw_only=True)
class MovedSurface(Surface):
    """A surface that is rotated about the origin, then shifted: f(Rᵀ(x − shift))."""

    rotate: float = parameter(0.0, shared=True, doc="rotation angle in degrees, in the planes (1,2), (2,3), … in turn")
    shift: tuple[float, ...] = parameter((0.0,), doc="displacement: a number per coordinate, or one for all")

    original_class: ClassVar[type[Surface]]

    @cached_property
    def original(self) -> Surface:
        """The surface that is moved."""
        return self.original_class(**{p.name: getattr(self, p.name) for p in parameters_of(self.original_class)})

    def rotation(self, dim: int) -> Array:
        """Return R, ``(dim, dim)``."""
        return plane_rotations(dim, self.rotate)

    def displacement(self, dim: int) -> Array:
        """Return the shift, ``(dim, 1)``."""
        return np.broadcast_to(np.array(self.shift), dim)[:, np.newaxis]

    def moved(self, points: Array) -> Array:
        """Map points of the original surface to the moved one, ``(dim, lanes) -> (dim, lanes)``."""
        return matrix_product(self.rotation(len(points)), points) + self.displacement(len(points))

    def moved_back(self, x: Array) -> Array:
        """Map points of the moved surface to the original one, ``(dim, lanes) -> (dim, lanes)``."""
        return matrix_product(self.rotation(len(x)).T, x - self.displacement(len(x)))

    def value(self, x: Array) -> Array:
        return self.original.value(self.moved_back(x))

    def gradient(self, x: Array) -> Array:
        return matrix_product(self.rotation(len(x)), self.original.gradient(self.moved_back(x)))

    def hessian(self, x: Array) -> Array:
        dim, lanes = x.shape
        rotation, hessian = self.rotation(dim), self.original.hessian(self.moved_back(x))
        # R H Rᵀ in two products: H is symmetric, so Rᵀ on the right is R on the left of the transpose.
        half = matrix_product(rotation, hessian.reshape(dim, dim * lanes)).reshape(dim, dim, lanes)
        whole = matrix_product(rotation, half.transpose(1, 0, 2).reshape(dim, dim * lanes))
        return whole.reshape(dim, dim, lanes)

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        def moved(stated: CriticalPoint) -> CriticalPoint:
            # A coordinate is an array if it depends on a parameter that differs between lanes.
            point = self.moved(np.stack(np.broadcast_arrays(*map(np.atleast_1d, stated.point))))
            return dataclasses.replace(stated, point=tuple(c if c.size > 1 else float(c[0]) for c in point))

        return tuple(map(moved, self.original.critical_points(dim)))

    @property
    def instance_tags(self) -> frozenset[Tag]:
        return self.original.instance_tags

    def notes(self, dim: int) -> tuple[str, ...]:
        return self.original.notes(dim)

    def check_dimension(self, dim: int) -> None:
        self.original.check_dimension(dim)

    @property
    def required_dimension(self) -> int | None:
        """Number of coordinates of the original surface, or of the shift.

        Raises
        ------
        ConfigError
            If both fix the number of coordinates and the numbers differ.
        """
        required = self.original.required_dimension
        if len(self.shift) == 1:
            return required
        if required not in (None, len(self.shift)):
            message = f"has {len(self.shift)} numbers, but {self.original.name} has {required} coordinates"
            raise ConfigError.at("shift", message)
        return len(self.shift)

    @property
    def default_dimension(self) -> int:
        return self.required_dimension or self.original.default_dimension

    def provides(self, dim: int) -> frozenset[str]:
        return self.original.provides(dim)

    def default_start(self, dim: int) -> tuple[float, ...]:
        start = np.array(self.original.default_start(dim))[:, np.newaxis]
        return tuple(self.moved(start)[:, 0].tolist())

    def window(self, dim: int) -> Intervals:
        """Return the smallest window that contains the moved original one."""
        # A box of half-widths h, rotated, has the half-widths |R| h.
        low, high = np.array(self.original.window(dim)).T[:, :, np.newaxis]
        centre, half = self.moved((low + high) / 2), matrix_product(np.abs(self.rotation(dim)), (high - low) / 2)
        return tuple(map(tuple, np.concatenate([centre - half, centre + half], axis=1).tolist()))


@functools.lru_cache(maxsize=256)
def moved_class(name: str) -> type[Surface]:
    """Return the class of the moved variant of a surface, given the surface's canonical name.

    Raises
    ------
    ConfigError
        If the surface is a loss on data, whose coordinates are weights.
    """
    original = SURFACES[name]
    if not original.is_formula:
        raise ConfigError.at("surface", f"{name} is a loss on data and cannot be moved")
    fields = [(f.name, f.type, dataclasses.field(default=f.default, metadata=f.metadata))
              for f in dataclasses.fields(cast(Any, original)) if "parameter" in f.metadata]  # fmt: skip
    inherited = (
        "source",
        "library",
        "dimension",
        "least_dimension",
        "tags",
        "minima_are",
        "view",
        "start",
        "lists_all_minima",
    )
    namespace = {each: getattr(original, each) for each in inherited if hasattr(original, each)}
    namespace |= {
        "__doc__": f"The surface {name}, rotated and shifted.",
        "name": f"moved({name})",
        "formula": f"f(Rᵀ(x − shift)), f(x) = {original.formula}",
        "latex": rf"f(R^\top (x - s)),\; f(x) = {original.latex}",
        "original_class": original,
    }
    return dataclasses.make_dataclass(
        f"Moved{original.__name__}", fields, bases=(MovedSurface,), namespace=namespace, frozen=True, kw_only=True
    )
