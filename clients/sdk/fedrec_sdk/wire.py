"""Element types on the way to and from the wire."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol import codec
from fedrec_protocol.tensors import DType


def to_wire(values: NDArray[Any], dtype: DType) -> NDArray[Any]:
    """Values in a wire element type: floats and integers rounded to nearest, ties to even.

    bfloat16 comes as uint16, as the codec carries it. Values must be finite.

    Raises:
        OverflowError: a value that the integer type cannot hold.
    """
    if dtype is DType.BF16:
        bits = values.astype("<f4").view(np.uint32)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    if dtype.is_floating:
        return values.astype(dtype.numpy, copy=False)
    limits = np.iinfo(dtype.numpy)
    if not (limits.min <= values.min() and values.max() <= limits.max):
        raise OverflowError(f"a value does not fit in {dtype}")
    return np.rint(values).astype(dtype.numpy) if values.dtype.kind == "f" else values.astype(dtype.numpy, copy=False)


def from_wire(array: NDArray[Any], dtype: DType) -> NDArray[Any]:
    """What a model computes with: bfloat16 widened to float32, everything else as it is."""
    return codec.as_float32(array, dtype) if dtype is DType.BF16 else array
