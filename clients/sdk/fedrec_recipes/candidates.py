"""The items that compete with the next one in a softmax: all, or a sample that stands for all."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Candidates:
    """Some items, and how many items each of them stands for."""

    items: NDArray[np.int64]
    """In ascending order, shape (n,)."""
    log_weights: NDArray[np.float32]
    """Logarithm of how many items each stands for, shape (n,): added to its logit."""

    @classmethod
    def drawn(
        cls, history: NDArray[np.int64], number_of_items: int, negatives: int, generator: np.random.Generator
    ) -> "Candidates":
        """The history's items, which stand for themselves, and others at random, which stand for all others alike.

        Args:
            history: Items of one person, shape (any,).
            number_of_items: Size of the catalogue.
            negatives: How many are drawn, with replacement: those in the history or drawn before do not count again.
            generator: Randomness.
        """
        is_drawn, is_own = np.zeros((2, number_of_items), dtype=np.bool_)
        is_drawn[generator.integers(number_of_items, size=negatives)] = True
        is_own[history] = True
        items = np.flatnonzero(is_drawn | is_own)
        own = int(np.count_nonzero(is_own))
        others = max(len(items) - own, 1)
        log_weight = np.log(max(number_of_items - own, 1) / others)
        return cls(items, np.where(is_own[items], 0.0, log_weight).astype(np.float32))

    def places(self, items: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where these items are among the candidates; each has to be one."""
        return np.searchsorted(self.items, items)
