"""Where things are in the summed vector: the model's coordinates, then scalars in limbs.

A scalar too wide for one coordinate (a count of examples, a metric's sum) is split into limbs of
q - 1 bits. Splitting is linear under addition, so the scalar's sum comes back exactly from the limbs' sums.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scalar:
    """An integer that rides behind the model's coordinates."""

    name: str
    bits: int
    """The integer's magnitude is at most 2**bits - 1."""


@dataclass(frozen=True)
class Layout:
    """The order of a summed vector."""

    model_coordinates: int
    scalars: tuple[Scalar, ...]
    value_bits: int

    @cached_property
    def coordinates(self) -> int:
        """Length of the vector."""
        return self.model_coordinates + sum(self.limb_count(scalar) for scalar in self.scalars)

    def limb_count(self, scalar: Scalar) -> int:
        """Coordinates that a scalar takes."""
        return -(-scalar.bits // (self.value_bits - 1))

    def join(self, model: NDArray[np.int64], values: Mapping[str, int]) -> NDArray[np.int64]:
        """One participant's vector, int64, shape (coordinates,).

        Raises:
            ValueError: a scalar outside its bits, or a model of another length.
        """
        if model.shape != (self.model_coordinates,):
            raise ValueError(f"shape {model.shape} for {self.model_coordinates} model coordinates")
        limbs = [limb for scalar in self.scalars for limb in self._limbs(scalar, values[scalar.name])]
        return np.concatenate([model, np.array(limbs, np.int64)])

    def split(self, total: NDArray[np.int64]) -> tuple[NDArray[np.int64], dict[str, int]]:
        """The model's part and the scalars of a vector or of a sum of vectors."""
        values: dict[str, int] = {}
        start = self.model_coordinates
        for scalar in self.scalars:
            end = start + self.limb_count(scalar)
            values[scalar.name] = sum(
                int(limb) << index * (self.value_bits - 1) for index, limb in enumerate(total[start:end])
            )
            start = end
        return total[: self.model_coordinates], values

    def _limbs(self, scalar: Scalar, value: int) -> list[int]:
        if abs(value) >= 1 << scalar.bits:
            raise ValueError(f"{scalar.name} does not fit in {scalar.bits} bits")
        limb_bits = self.value_bits - 1
        limbs = []
        for _ in range(self.limb_count(scalar) - 1):
            limbs.append(value & (1 << limb_bits) - 1)
            value >>= limb_bits
        # The top limb keeps the sign; Python's shift rounds down, so the limbs below are never negative.
        return [*limbs, value]
