"""The mixture of a blend: what it is, and which ones devices try."""

import itertools
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

_NO_DECAY = 1e6


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

DEFAULT = GRID.index(DEFAULT_MIXTURE)
"""Place of the default mixture, which gains are measured against."""
