"""A choice that devices make by sums: what each alternative gains over the default, and which gain is the surest.

A device ranks interactions that the models did not learn from, under every alternative, and reports what each gains
and its square. The server takes the alternative whose gain has the largest lower bound.
"""

import numpy as np
from numpy.typing import NDArray

from fedrec_recipes.metrics import metric_value

GAIN_STEPS = 100
"""Gains and their squares are reported in steps of 1/100, as int8."""

CUTOFF = 10
"""Gains are NDCG at this cut-off."""

_STANDARD_ERRORS = 1.5

_STEPS_OF_RANK = np.array(
    [0, *(round(GAIN_STEPS * metric_value(f"ndcg@{CUTOFF}", rank)) for rank in range(1, CUTOFF + 2))], dtype=np.int64
)
"""NDCG of a rank in steps; the last entry is that of all ranks beyond the cut-off, zero."""


def gains_of(ranks: NDArray[np.int64], default: int) -> NDArray[np.int64]:
    """What a device reports of its held-out items' ranks under each alternative.

    Args:
        ranks: One row for each held-out item, shape (at least 1, alternatives).
        default: The alternative that gains are measured against.

    Returns:
        The mean of NDCG@10 minus that of the default, in steps of 1/100, shape (alternatives,): a person counts once,
        however many of their items are held out.
    """
    values = _STEPS_OF_RANK[np.minimum(ranks, len(_STEPS_OF_RANK) - 1)].mean(axis=0)
    return np.asarray(np.rint(values - values[default]), dtype=np.int64)


def squares_of(gains: NDArray[np.int64]) -> NDArray[np.int64]:
    """Squares of gains, in steps of 1/100 as well, rounded up: as small to report, and never too sure."""
    return -(-(gains**2) // GAIN_STEPS)


def largest_norm_of_gains(alternatives: int) -> float:
    """L2 norm that gains and squares of so many alternatives do not exceed."""
    return float((2 * GAIN_STEPS**2 * alternatives) ** 0.5)


def surest(gains: NDArray[np.float64], squared_gains: NDArray[np.float64], default: int) -> int:
    """The alternative whose gain is surest: the largest lower bound, or the default where no bound is above zero.

    Among hundreds of alternatives the best of a few people's held-out items is mostly the luckiest. Each person's gain
    is one draw, so the sum's standard error is the root of the sum of squares. In a private round noise is added to it,
    how much the default says: its gains and their squares are zero for everybody, so what they add up to is noise.

    Args:
        gains: Sums over people of `gains_of`, shape (alternatives,).
        squared_gains: Sums over people of `squares_of`, same shape.
        default: The alternative that gains are measured against.
    """
    noise_variance = (gains[default] ** 2 + squared_gains[default] ** 2) / 2
    bounds = gains - _STANDARD_ERRORS * np.sqrt(GAIN_STEPS * np.maximum(squared_gains, 0.0) + noise_variance)
    best = int(np.argmax(bounds))
    return best if bounds[best] > 0 else default
