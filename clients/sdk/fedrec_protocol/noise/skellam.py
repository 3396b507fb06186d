"""Skellam noise: the difference of two Poisson variables, whose sums over participants are Skellam again.

Agarwal, Kairouz and Liu 2021, https://arxiv.org/abs/2110.04995. Each participant adds a part of the noise inside
its masked report, so that nobody, the operator included, sees the sum without all of it.
"""

from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.noise.random_bits import RandomBits

MAXIMUM_VARIANCE = 2**32
_PRECISION = 192
_TAIL_BITS = 96
"""Values less likely than 2**-96 of the likeliest are left out."""


def skellam(variance: int, count: int, bits: RandomBits) -> NDArray[np.int64]:
    """Independent integers of mean zero, the differences of two Poisson(variance / 2).

    Drawn by inverting a table of the distribution in integer arithmetic: each sample is within 2**-40 of
    Skellam in total variation, whatever the variance.

    Args:
        variance: An integer from 1 to 2**32, in squared grid steps.
        count: How many.
        bits: Where randomness comes from.

    Returns:
        int64, shape (count,).

    Raises:
        ValueError: a variance out of range.
    """
    if not 1 <= variance <= MAXIMUM_VARIANCE:
        raise ValueError(f"variance {variance} outside 1 to 2**32")
    _, table = _poisson_table(variance)
    first = np.searchsorted(table, bits.words(count), side="right")
    second = np.searchsorted(table, bits.words(count), side="right")
    return first - second


@lru_cache(maxsize=4)
def _poisson_table(twice_mean: int) -> tuple[int, NDArray[np.uint64]]:
    """The least value of Poisson(twice_mean / 2) that is kept, and P(X <= value) * 2**64 from there on."""
    mode = twice_mean // 2
    above, below = [1 << _PRECISION], []
    value = mode
    while above[-1] >> (_PRECISION - _TAIL_BITS):
        value += 1
        above.append(above[-1] * twice_mean // (2 * value))
    weight, value = above[0], mode
    while value > 0 and weight >> (_PRECISION - _TAIL_BITS):
        weight = weight * 2 * value // twice_mean
        value -= 1
        below.append(weight)
    weights = [*reversed(below), *above]
    total = sum(weights)
    # The last entry is 2**64 - 1 rather than 2**64: one word in 2**64 falls behind it, on a value one larger.
    table = [min((partial << 64) // total, 2**64 - 1) for partial in accumulate(weights)]
    return value, np.array(table, np.uint64)
