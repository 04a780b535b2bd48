"""Take and replace lanes of surfaces, optimizers and states of optimizers, and group lanes by page of a table."""

import dataclasses
from collections.abc import Iterator
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

Holder = TypeVar("Holder")


def take_lanes(holder: Holder, lanes: Any) -> Holder:
    """Return a surface, an optimizer or an optimizer's state with a part of its lanes.

    Lanes are the last axis of every array; a value without an axis belongs to all lanes and is kept.

    Parameters
    ----------
    holder
        A dataclass or a ``NamedTuple``.
    lanes
        An index of the last axis: a mask, integers, or a slice.
    """

    def taken(value: Any) -> Any:
        return np.ascontiguousarray(value[..., lanes]) if isinstance(value, np.ndarray) and value.ndim else value

    if isinstance(holder, tuple):
        return type(holder)(*map(taken, holder))
    fields = dataclasses.fields(cast(Any, holder))
    return type(holder)(**{field.name: taken(getattr(holder, field.name)) for field in fields})


def put_lanes(holder: Holder, lanes: NDArray[np.intp], fresh: Holder) -> Holder:
    """Return the holder with new values in some of its lanes; arrays that it owns are changed in place.

    Parameters
    ----------
    holder
        A dataclass or a ``NamedTuple``; it must not be used afterwards.
    lanes
        The indices of the lanes.
    fresh
        The new values, of the same class, with one lane per index.
    """
    seen: set[int] = set()

    # An array is changed in place only if nothing else can refer to it: not a view, not read-only, and not a second
    # field of the holder that contains the same array.
    def put(value: Any, values: Any) -> Any:
        if not isinstance(value, np.ndarray) or value.ndim == 0:
            return value
        is_own = value.flags.writeable and value.base is None and id(value) not in seen
        seen.add(id(value))
        value = value if is_own else value.copy()
        value[..., lanes] = values
        return value

    if isinstance(holder, tuple):
        return type(holder)(*map(put, holder, cast("tuple[Any, ...]", fresh)))
    fields = [field.name for field in dataclasses.fields(cast(Any, holder))]
    return type(holder)(**{name: put(getattr(holder, name), getattr(fresh, name)) for name in fields})


def by_page(indices: NDArray[np.int64], length: int) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.int64]]]:
    """Group lanes by the page of a long table that their indices refer to.

    Parameters
    ----------
    indices
        An index into the table for each lane, ``(lanes,)``.
    length
        The number of entries per page.

    Yields
    ------
    page, lanes, places
        The number of a page, the lanes that refer to it, and their indices within the page.
    """
    pages, places = np.divmod(indices, length)
    for page in np.unique(pages).tolist():
        lanes = np.flatnonzero(pages == page)
        yield page, lanes, places[lanes]
