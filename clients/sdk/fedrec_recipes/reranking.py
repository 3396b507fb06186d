"""From scores to a list that is varied and explained, on the device, whatever the recipe."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fedrec_recipes.recipe import History

Items = NDArray[np.int64]


def diversified(
    candidates: Items,
    scores: NDArray[np.floating],
    item_vectors: NDArray[np.floating],
    count: int,
    *,
    relevance: float = 0.7,
) -> Items:
    """Maximal marginal relevance: a list that avoids showing the same thing twice.

    Each place goes to the candidate with the largest relevance * score - (1 - relevance) * (largest cosine
    similarity to what is in the list), scores being scaled to [0, 1] over the candidates
    (Carbonell and Goldstein 1998, https://doi.org/10.1145/290941.291025).

    Args:
        candidates: Items that may be shown, shape (n,); several times `count`, e.g. the best 100.
        scores: Scores of all items, shape (number_of_items,).
        item_vectors: What similarity is measured with, shape (number_of_items, dimension): item embeddings,
            rows of item weights, or genres.
        count: Length of the list; shorter if there are fewer candidates.
        relevance: 1 orders by score alone.
    """
    value = _to_unit_interval(scores[candidates])
    vectors = np.asarray(item_vectors[candidates], dtype=np.float64)
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    closest = np.zeros(len(candidates))
    left = np.ones(len(candidates), dtype=bool)
    chosen: list[int] = []
    while len(chosen) < min(count, len(candidates)):
        marginal = np.where(left, relevance * value - (1.0 - relevance) * closest, -np.inf)
        best = int(np.argmax(marginal))
        left[best] = False
        similarity = vectors @ vectors[best]
        closest = similarity if not chosen else np.maximum(closest, similarity)
        chosen.append(best)
    return candidates[chosen]


def because_of(
    score: Callable[[History], NDArray[np.floating]], history: History, item: int, *, count: int = 3
) -> list[tuple[int, float]]:
    """The history's items without which `item` would lose most score: "because you watched ...".

    Leave-one-out, so it holds for any recipe, neural ones too.

    Args:
        score: Scores of all items for a history, e.g. a recipe's `score` with its tensors.
        history: The person's history.
        item: The recommended item to be explained.
        count: Reasons at most; items that speak against `item` are none.

    Returns:
        Pairs of an item and the score that it adds, largest first.
    """
    whole = float(score(history)[item])
    losses = [
        (int(old), whole - float(score(_without(history, place))[item])) for place, old in enumerate(history.items)
    ]
    reasons = sorted((loss for loss in losses if loss[1] > 0), key=lambda loss: -loss[1])
    return reasons[:count]


def _without(history: History, place: int) -> History:
    times = None if history.times is None else np.delete(history.times, place)
    return History(np.delete(history.items, place), times)


def _to_unit_interval(values: NDArray[np.floating]) -> NDArray[np.float64]:
    if len(values) == 0:
        return np.zeros(0)
    low, high = float(values.min()), float(values.max())
    return (values.astype(np.float64) - low) / (high - low) if high > low else np.ones(len(values))
