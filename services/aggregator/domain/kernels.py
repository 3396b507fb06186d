"""The two loops that every report passes: measure it, add it.

Compiled with numba (`NUMBA_CACHE_DIR` says where the compiled code is kept). Every machine gets the same
bits: a correctly rounded float64 product, a round-half-even and an integer addition, in any order.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Values = NDArray[np.float32] | NDArray[np.float64]
Accumulator = NDArray[np.int64]


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _squared_norm(values: Values) -> float:
    # Reassociation lets the compiler keep several running sums; the result only faces a bound with a
    # tolerance. `nnan` and `ninf` stay off: one NaN or infinity must make the result NaN or infinite.
    total = 0.0
    for index in range(values.size):
        value = np.float64(values[index])
        total += value * value
    return total


@njit(nogil=True, cache=True)
def _add(accumulator: Accumulator, values: Values, factor: float) -> None:
    for index in range(values.size):
        accumulator[index] += np.int64(np.rint(np.float64(values[index]) * factor))


def squared_norm(values: Values) -> float:
    """Sum of squares of a flat array in float64; not finite exactly if some element is not."""
    return float(_squared_norm(values))


def add(accumulator: Accumulator, values: Values, factor: float) -> None:
    """Add rint(values * factor) to the accumulator, modulo 2**64.

    Args:
        accumulator: int64, shape (n,); changed in place.
        values: float32 or float64, shape (n,), finite, |values * factor| < 2**62.
        factor: weight times the power of two of the grid; negative to take a report out again, which is
            exact because rint is odd.
    """
    _add(accumulator, values, factor)


def warm_up() -> None:
    """Compile before the first report arrives."""
    accumulator = np.zeros(1, np.int64)
    kinds: tuple[Values, ...] = (np.zeros(1, np.float32), np.zeros(1, np.float64))
    for values in kinds:
        for is_writeable in (True, False):  # bodies are read where they are, and not to be written to
            values.flags.writeable = is_writeable
            squared_norm(values)
            add(accumulator, values, 1.0)
