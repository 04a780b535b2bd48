"""Arrays as one compressed text that a browser decodes without a library.

Each array becomes integers, differences along one axis, and bytes grouped by significance ("shuffled"); smooth
trajectories then compress to a tenth. The browser reverses these steps with typed arrays and ``DecompressionStream``.
"""

import base64
import gzip
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

QUANTA = 32_767
"""Quantised values are integers from −32 767 to 32 767; −32 768 stands for a missing value."""

MISSING = -32_768


@dataclass(kw_only=True)
class Payload:
    """Arrays of a page, in the order in which they were added."""

    chunks: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, values: NDArray[Any], *, difference_axis: int | None = None) -> dict[str, Any]:
        """Append an array and return the description with which the browser finds and decodes it.

        Parameters
        ----------
        values
            Integers or floating-point numbers of any shape.
        difference_axis
            The axis along which consecutive values are similar; integers only.
        """
        array = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<")))
        description: dict[str, Any] = {"dtype": array.dtype.str[1:], "shape": list(array.shape), "offset": self.size}
        if difference_axis is not None:
            # The browser adds up consecutive elements, so the axis must be the last and fastest one.
            array = np.ascontiguousarray(np.moveaxis(array, difference_axis, -1))
            with np.errstate(over="ignore"):  # differences wrap around, and so do the sums
                array = np.diff(array, axis=-1, prepend=array.dtype.type(0))
            description["difference"] = difference_axis % values.ndim
        # All low bytes, then all high bytes: the high bytes of small differences are nearly constant.
        shuffled = array.reshape(-1).view(np.uint8).reshape(-1, array.dtype.itemsize).T
        content = np.ascontiguousarray(shuffled).tobytes()
        self.chunks.append(content)
        self.size += len(content)
        return description

    def text(self, *, level: int = 6) -> str:
        """Base64 of the arrays, compressed at this level; equal arrays give equal text."""
        return base64.b64encode(gzip.compress(b"".join(self.chunks), compresslevel=level, mtime=0)).decode()


def quantise(values: NDArray[np.float64], low: Any, high: Any) -> NDArray[np.int16]:
    """Map ``[low, high]`` to −32 767 … 32 767, clip values outside, and mark those that are not finite as missing.

    The bounds broadcast against the values. The error of a value inside is at most half of ``(high − low) / 65 534``.
    """
    span = np.where(np.asarray(high) > low, np.asarray(high) - low, 1.0)
    with np.errstate(all="ignore"):
        scaled = np.rint((values - low) / span * (2 * QUANTA) - QUANTA)
        clipped = np.clip(np.nan_to_num(scaled, nan=0.0, posinf=QUANTA, neginf=-QUANTA), -QUANTA, QUANTA)
    return np.where(np.isnan(values), MISSING, clipped).astype(np.int16)
