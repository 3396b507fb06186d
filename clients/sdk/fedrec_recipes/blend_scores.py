"""What a blend says of the items for one history: scores of a mixture, and ranks under every mixture at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedrec_recipes.linear import slow_recency
from fedrec_recipes.mixture import DAMPINGS, GRID, HALF_LIVES, STRENGTHS, Mixture
from fedrec_recipes.standardise import standardised
from fedrec_recipes.surest_gain import CUTOFF

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class BlendScores:
    """The parts of a blend for one history; each is standardised over the items."""

    history: NDArray[np.int64]
    """Items, oldest first."""
    context_weights: Scores
    """Weights of the history in the context of the next item, shape (len(history),)."""
    co_occurrence_weights: NDArray[np.float16]
    """Item weights of `ease` with both regularisations, shape (2, number_of_items, number_of_items)."""
    next_item_weights: NDArray[np.float16]
    """Item weights of `slit` with both regularisations, same shape."""
    of_depths: Scores
    """What the history's depths in half-spaces add to the next-item scores, shape (number_of_items,)."""
    item_count: Scores
    """Number of people that the fit saw with each item, shape (number_of_items,)."""
    trend: Scores
    """What `fedrec_recipes.trend` says of the items, same shape."""

    def mixed(self, mixture: Mixture) -> Scores:
        """The scores of a mixture, shape (number_of_items,); items that nobody chose come last.

        A linear model gives them zero, which is more than it gives most items that somebody chose. Where
        somebody's last interactions are left out, they are the items that were left out: rewarding that would
        choose a mixture for knowing the answer.
        """
        scores = np.float32(mixture.popularity) * self.popularity() + np.float32(mixture.trend) * self.trend
        if mixture.next_item:
            scores += np.float32(mixture.next_item) * self.next_item(mixture.damping, mixture.strength)
        if mixture.co_occurrence:
            scores += np.float32(mixture.co_occurrence) * self.co_occurrence(mixture.half_life, mixture.strength)
        scores[self.item_count == 0] = scores.min()
        return scores

    def popularity(self) -> Scores:
        """Logarithms of the items' counts."""
        return standardised(np.log1p(self.item_count))

    def next_item(self, damping: float, strength: int) -> Scores:
        """What `slit` expects next, damped by popularity; zeros if there is no history."""
        kept = np.flatnonzero(self.context_weights)
        rows = self.next_item_weights[strength, self.history[kept]].astype(np.float32)
        return standardised((self.context_weights[kept] @ rows + self.of_depths) * self._damped(damping))

    def co_occurrence(self, half_life: float, strength: int) -> Scores:
        """What goes with the history, by `ease` with recency; zeros if there is no history."""
        rows = self.co_occurrence_weights[strength, self.history].astype(np.float32)
        return standardised(slow_recency(len(self.history), half_life) @ rows)

    def ranks_of_last(self, count: int) -> NDArray[np.int64]:
        """Ranks of the last items, each by what came before it, among the unseen ones under each mixture of `GRID`.

        Ties are pessimistic. Below the cut-off of the gains a rank is not computed: it is the first beyond. Depths
        are left out: the models by which devices choose have no weights for them.

        Returns:
            Shape (count, len(GRID)), oldest item first.
        """
        ends = range(len(self.history) - count, len(self.history))
        parts = self._parts_before(ends)
        return np.stack([self._ranks(parts[place], end) for place, end in enumerate(ends)])

    def _parts_before(self, ends: range) -> Scores:
        """Every part that occurs in `GRID`, in the order of `_coefficients`, of the history up to each end.

        Returns:
            Shape (len(ends), parts, number_of_items).
        """
        parts: list[list[Scores]] = [[self.popularity(), self.trend] for _ in ends]
        # A row is looked up once for all ends, half-lives and dampings: it has the whole catalogue in it.
        for strength in STRENGTHS:
            rows = self.next_item_weights[strength, self.history].astype(np.float32)
            for found, end in zip(parts, ends, strict=True):
                expected = self.context_weights[len(self.history) - end :] @ rows[:end]
                found += [standardised(expected * self._damped(damping)) for damping in DAMPINGS]
            rows = self.co_occurrence_weights[strength, self.history].astype(np.float32)
            for found, end in zip(parts, ends, strict=True):
                weights = np.stack([slow_recency(end, half_life) for half_life in HALF_LIVES])
                found += [standardised(scores) for scores in weights @ rows[:end]]
        return np.stack([np.stack(found) for found in parts])

    def _ranks(self, parts: Scores, end: int) -> NDArray[np.int64]:
        """Ranks of the item at `end` of the history under each mixture."""
        target = int(self.history[end])
        competes = self.item_count > 0
        competes[self.history[:end]] = False
        beyond = np.full(len(GRID), CUTOFF + 1)
        if not competes[target]:
            return beyond
        competes[target] = False
        of_target = parts[:, [target]]
        # No weight is negative: what is ahead in every part is ahead in every mixture, and so for what is behind.
        surely = competes & (parts >= of_target).all(axis=0)
        ahead = int(np.count_nonzero(surely))
        if ahead >= CUTOFF:
            return beyond
        perhaps = np.flatnonzero(competes & ~surely & (parts > of_target).any(axis=0))
        scores = _COEFFICIENTS @ parts[:, perhaps]
        ahead_in_mixture = np.count_nonzero(scores >= _COEFFICIENTS @ of_target, axis=1)
        return np.asarray(ahead + ahead_in_mixture + 1, dtype=np.int64)

    def _damped(self, damping: float) -> Scores:
        """What next-item scores are multiplied with, shape (number_of_items,)."""
        return np.maximum(self.item_count, 1) ** -np.float32(damping)


def _coefficients(mixture: Mixture) -> list[float]:
    """Weights of popularity and trend, and for both regularisations of next item and co-occurrence, in this order."""
    coefficients = [mixture.popularity, mixture.trend]
    for strength in STRENGTHS:
        is_used = mixture.strength == strength
        coefficients += [mixture.next_item * (is_used and mixture.damping == value) for value in DAMPINGS]
        coefficients += [mixture.co_occurrence * (is_used and mixture.half_life == value) for value in HALF_LIVES]
    return coefficients


_COEFFICIENTS = np.array([_coefficients(mixture) for mixture in GRID], dtype=np.float32)
