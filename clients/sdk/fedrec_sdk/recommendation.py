"""The best items of a score vector."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedrec_recipes.reranking import diversified

CANDIDATES = 10
"""Candidates of a varied list for each of its places."""


class Recommendation(NamedTuple):
    """One recommended item."""

    item: int
    """Index of the item."""
    score: float
    """Its score; comparable only within one list."""


def top_k(
    scores: NDArray[np.floating], k: int, *, exclude: Iterable[int] = (), allow: Iterable[int] | None = None
) -> list[Recommendation]:
    """The k items of largest score, best first; of equal scores the smaller index comes first.

    Args:
        scores: One score per item, shape (number_of_items,). Items of score NaN or -inf are never chosen.
        k: How many; fewer come back where fewer are eligible.
        exclude: Items not to recommend.
        allow: Items that may be recommended; None means all.

    Both may name items that the model does not have: the app's catalogue may be newer.
    """
    eligible = ~(np.isnan(scores) | np.isneginf(scores))
    if allow is not None:
        eligible &= _mask(allow, len(scores))
    eligible &= ~_mask(exclude, len(scores))
    candidates = np.flatnonzero(eligible)
    if 0 < k < len(candidates):
        # Everything that ties with the k-th stays, so that the choice does not depend on the partition.
        kth = -np.partition(-scores[candidates], k - 1)[k - 1]
        candidates = candidates[scores[candidates] >= kth]
    order = np.argsort(-scores[candidates], kind="stable")[: max(k, 0)]
    return [Recommendation(int(item), float(scores[item])) for item in candidates[order]]


def varied(
    candidates: list[Recommendation],
    scores: NDArray[np.floating],
    vectors: NDArray[np.floating],
    k: int,
    *,
    variety: float,
) -> list[Recommendation]:
    """A list of k candidates by maximal marginal relevance; see `fedrec_recipes.reranking.diversified`.

    Args:
        candidates: More than k, best first.
        scores: Scores of all items.
        vectors: What tells items apart, one row each.
        k: How many.
        variety: Weight of being unlike what is in the list, from 0 to 1.
    """
    by_item = {candidate.item: candidate for candidate in candidates}
    items = np.array(list(by_item), dtype=np.int64)
    chosen = diversified(items, scores, vectors, k, relevance=1.0 - variety)
    return [by_item[item] for item in chosen.tolist()]


def _mask(items: Iterable[int], number_of_items: int) -> NDArray[np.bool_]:
    chosen = np.fromiter(items, dtype=np.int64)
    mask = np.zeros(number_of_items, dtype=np.bool_)
    mask[chosen[(chosen >= 0) & (chosen < number_of_items)]] = True
    return mask
