"""Tensor specifications: names, element types and shapes, as safetensors spells them."""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StringConstraints

from fedrec_protocol.base import Message

Tensors = Mapping[str, NDArray[Any]]
"""Named tensors: a state_dict without torch."""

MAXIMUM_RANK = 8
MAXIMUM_ELEMENTS = 2**33

TensorName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]{0,199}$")]
"""Letters, digits, dot, dash and underscore: what torch state_dicts use, and never a path."""


class DType(StrEnum):
    """Element types, in the spelling of the safetensors format."""

    F64 = "F64"
    F32 = "F32"
    F16 = "F16"
    BF16 = "BF16"  # numpy has no such type: carried as uint16, widened by `codec.as_float32`
    I64 = "I64"
    I32 = "I32"
    I16 = "I16"
    I8 = "I8"
    U8 = "U8"

    @property
    def numpy(self) -> np.dtype[Any]:
        """The little-endian numpy type that carries the elements."""
        return _NUMPY[self]

    @property
    def is_floating(self) -> bool:
        """Whether elements can be NaN or infinite."""
        return self.value.startswith(("F", "B"))


_NUMPY: dict[DType, np.dtype[Any]] = {
    DType.F64: np.dtype("<f8"),
    DType.F32: np.dtype("<f4"),
    DType.F16: np.dtype("<f2"),
    DType.BF16: np.dtype("<u2"),
    DType.I64: np.dtype("<i8"),
    DType.I32: np.dtype("<i4"),
    DType.I16: np.dtype("<i2"),
    DType.I8: np.dtype("i1"),
    DType.U8: np.dtype("u1"),
}


class InitialiserKind(StrEnum):
    """How the server fills a tensor of the first model version."""

    ZEROS = "zeros"
    ONES = "ones"
    NORMAL = "normal"  # mean 0, standard deviation `scale`
    UNIFORM = "uniform"  # on [-scale, scale]


class Initialiser(Message):
    """How the server fills a tensor of the first model version."""

    kind: InitialiserKind = InitialiserKind.ZEROS
    """zeros, ones, normal (mean 0) or uniform (symmetric about 0)."""
    scale: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    """Standard deviation of `normal`, half-width of `uniform`; ignored otherwise."""


class TensorSpec(Message):
    """One tensor: its name, element type and shape."""

    name: TensorName
    """Name in the state_dict."""
    dtype: DType = DType.F32
    """Element type, in the spelling of safetensors."""
    shape: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(), max_length=MAXIMUM_RANK)
    """Dimensions; empty for a scalar. Zero-sized dimensions are refused."""
    init: Initialiser = Initialiser()
    """How the server initialises it when a task starts without a base version."""

    @property
    def element_count(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def size_bytes(self) -> int:
        """Number of bytes of the elements."""
        return self.element_count * self.dtype.numpy.itemsize


def specs_of(tensors: Tensors) -> tuple[TensorSpec, ...]:
    """Describe tensors as they are, in their order.

    Raises:
        KeyError: an element type that the wire format does not carry.
    """
    wire = {dtype.numpy: dtype for dtype in DType if dtype is not DType.BF16}
    return tuple(
        TensorSpec(name=name, dtype=wire[array.dtype.newbyteorder("<")], shape=array.shape)
        for name, array in tensors.items()
    )
