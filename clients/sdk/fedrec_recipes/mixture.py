"""The mixture of a blend: what it is, which ones devices try, and how the best of them is chosen from sums."""

import itertools
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from fedrec_recipes.metrics import metric_value

GAIN_STEPS = 100
"""Gains and their squares are reported in steps of 1/100, as int8."""

CUTOFF = 10
"""Gains are NDCG at this cut-off."""

_NO_DECAY = 1e6
_STANDARD_ERRORS = 1.5


@dataclass(frozen=True)
class Mixture:
    """How the scores of a blend are added up."""

    half_life: float
    """Recency of the history that the co-occurrence scores see: later interactions after which an older one
    counts half, and a third after as many again."""
    co_occurrence: float
    """Weight of the standardised co-occurrence scores."""
    next_item: float
    """Weight of the standardised next-item scores."""
    popularity: float
    """Weight of the standardised logarithms of the items' counts."""
    damping: float
    """Next-item scores are divided by this power of the items' counts before they are standardised."""
    trend: float
    """Weight of the items' trend, which is not standardised: it is a logarithm of ratios."""
    strength: int
    """Which of the two regularisations both models are solved with: 0 the weaker, 1 the stronger."""

    def as_tensor(self) -> NDArray[np.float32]:
        """The seven numbers, shape (7,)."""
        return np.array(astuple(self), dtype=np.float32)

    @classmethod
    def from_tensor(cls, values: NDArray[np.float32]) -> "Mixture":
        """What `as_tensor` made."""
        half_life, co_occurrence, next_item, popularity, damping, trend, strength = values.tolist()
        return cls(half_life, co_occurrence, next_item, popularity, damping, trend, int(strength))


STRENGTHS = (0, 1)
"""The values of `strength`."""

DAMPINGS = (0.0, 0.2)
"""The values of `damping` in `GRID`."""

HALF_LIVES = (2.0, 8.0, 30.0, _NO_DECAY)
"""The values of `half_life` in `GRID`."""

DEFAULT_MIXTURE = Mixture(
    half_life=2.0, co_occurrence=1.0, next_item=1.0, popularity=0.0, damping=0.2, trend=1.0, strength=0
)
"""Within a few per cent of the best on all data sets with an order that were tried; a round of choice finds a
catalogue's own."""

_WEIGHTS = ((0.0, 1.0), (0.5, 1.0), (1.0, 1.0), (2.0, 1.0), (4.0, 1.0), (1.0, 0.0))
"""Of co-occurrence and next item."""

_WEIGHTS_OF_ALL = ((0.0, 0.0), (0.0, 1.0), (0.0, 2.0), (0.1, 1.0), (0.5, 1.0), (2.0, 1.0))
"""Of popularity and the trend, which are the same for everybody."""

GRID = tuple(
    Mixture(half_life, co_occurrence, next_item, popularity, damping, trend, strength)
    for (co_occurrence, next_item), (popularity, trend), damping, half_life, strength in itertools.product(
        _WEIGHTS, _WEIGHTS_OF_ALL, DAMPINGS, HALF_LIVES, STRENGTHS
    )
    if co_occurrence or half_life == HALF_LIVES[0]  # without co-occurrence the half-life changes nothing
    if next_item or damping == DAMPINGS[0]  # nor does damping without the next item
)
"""The mixtures that devices try."""

_DEFAULT = GRID.index(DEFAULT_MIXTURE)

_STEPS_OF_RANK = np.array(
    [0, *(round(GAIN_STEPS * metric_value(f"ndcg@{CUTOFF}", rank)) for rank in range(1, CUTOFF + 2))], dtype=np.int64
)
"""NDCG of a rank in steps; the last entry is that of all ranks beyond the cut-off, zero."""


def gains_of(ranks: NDArray[np.int64]) -> NDArray[np.int64]:
    """What a device reports of its held-out items' ranks under each mixture of `GRID`.

    Args:
        ranks: One row for each held-out item, shape (at least 1, len(GRID)).

    Returns:
        The mean of NDCG@10 minus that of the default mixture, in steps of 1/100, shape (len(GRID),): a person counts
        once, however many of their items are held out.
    """
    values = _STEPS_OF_RANK[np.minimum(ranks, len(_STEPS_OF_RANK) - 1)].mean(axis=0)
    return np.asarray(np.rint(values - values[_DEFAULT]), dtype=np.int64)


def squares_of(gains: NDArray[np.int64]) -> NDArray[np.int64]:
    """Squares of gains, in steps of 1/100 as well, rounded up: as small to report, and never too sure."""
    return -(-(gains**2) // GAIN_STEPS)


def chosen_mixture(gains: NDArray[np.float64], squared_gains: NDArray[np.float64]) -> Mixture:
    """The mixture whose gain is surest: the largest lower bound, or the default where no bound is above zero.

    Among hundreds of mixtures the best of a few people's held-out items is mostly the luckiest. Each person's gain is
    one draw, so the sum's standard error is the root of the sum of squares.

    Args:
        gains: Sums over people of `gains_of`, shape (len(GRID),).
        squared_gains: Sums over people of `squares_of`, same shape.
    """
    bounds = gains - _STANDARD_ERRORS * np.sqrt(GAIN_STEPS * np.maximum(squared_gains, 0.0))
    best = int(np.argmax(bounds))
    return GRID[best] if bounds[best] > 0 else DEFAULT_MIXTURE
