"""The integer grid of a round: how real coordinates become q-bit integers, summed modulo 2**b."""

import math
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from fedrec_protocol.base import Message

_WORDS: tuple[tuple[int, type[np.unsignedinteger[Any]]], ...] = ((16, np.uint16), (32, np.uint32), (64, np.uint64))


class Grid(Message):
    """A value x of weight w becomes the integer rint(x * w * 2**fraction_bits), as in a plain report."""

    coordinates: PositiveInt
    """Length of the summed vector: the model's coordinates, then the scalars of `layout`."""
    modulus_bits: int = Field(ge=16, le=64, multiple_of=8)
    """b: sums are modulo 2**b, and a masked coordinate takes b / 8 bytes."""
    value_bits: int = Field(ge=8, le=62)
    """q: every coordinate of one participant lies in [-2**(q-1), 2**(q-1))."""
    fraction_bits: int = Field(ge=-64, le=64)
    """f: one grid step is 2**-f of a weighted coordinate."""
    clipping_norm: PositiveFloat
    """L2 bound on one unweighted update."""
    maximum_weight: PositiveInt
    """Largest weight of one report."""

    @model_validator(mode="after")
    def _bound_fits(self) -> Self:
        if self.bound_steps > 2 ** (self.value_bits - 1) - 1:
            raise ValueError(f"{self.bound_steps} grid steps do not fit in {self.value_bits} bits")
        return self

    @property
    def bound_steps(self) -> int:
        """L2 bound on one participant's integer vector: the sensitivity of the sum, in grid steps."""
        return math.floor(self.clipping_norm * self.maximum_weight * 2.0**self.fraction_bits)

    @property
    def word(self) -> np.dtype[Any]:
        """The smallest little-endian unsigned type that holds b bits; sums wrap in it."""
        return next(np.dtype(word).newbyteorder("<") for bits, word in _WORDS if self.modulus_bits <= bits)

    def require_room_for(self, participants: int) -> None:
        """Refuse a grid on which the sum of so many vectors could wrap.

        Raises:
            ValueError: not N_max * 2**(q-1) < 2**(b-1).
        """
        if participants * 2 ** (self.value_bits - 1) >= 2 ** (self.modulus_bits - 1):
            raise ValueError(
                f"{participants} vectors of {self.value_bits} bits can overflow a modulus of {self.modulus_bits} bits"
            )


def largest_fraction_bits(*, clipping_norm: float, maximum_weight: int, value_bits: int) -> int:
    """The finest power-of-two grid on which a clipped, weighted update fits in `value_bits`."""
    return math.floor(math.log2((2 ** (value_bits - 1) - 1) / (clipping_norm * maximum_weight)))


def to_signed(words: NDArray[Any], modulus_bits: int) -> NDArray[np.int64]:
    """Residues modulo 2**b as the integers of smallest magnitude, int64, same shape."""
    shift = np.int64(64 - modulus_bits)
    # Shifting left throws away what lies above bit b; the arithmetic shift back extends the sign.
    return (words.astype(np.uint64).view(np.int64) << shift) >> shift
