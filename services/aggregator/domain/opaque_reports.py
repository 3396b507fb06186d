"""Reports that the server cannot read: words without a meaning, added modulo 2**64 like everything else."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.aggregator.domain.kernels import Accumulator


@dataclass(frozen=True)
class OpaqueLayout:
    """The coordinates of a sum of opaque reports, in one piece: only their number is known."""

    size: int


@dataclass(frozen=True)
class OpaqueReport:
    """A masked or an encrypted vector; it can be added up, and nothing else."""

    words: NDArray[Any]
    """Unsigned, shape (size,)."""

    def fold(self, accumulator: Accumulator, *, sign: int = 1) -> None:
        """Add to a sum modulo 2**64, or with `sign=-1` take out again."""
        add = np.add if sign > 0 else np.subtract
        total = accumulator.view(np.uint64)
        add(total, self.words, out=total)
