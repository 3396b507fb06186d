"""Training negatives: items that a person has not chosen, as far as the training history knows."""

import numpy as np
from numpy.typing import NDArray

from fedrec_recipes.recipe import History


def sample_negatives(
    history: History, number_of_items: int, count: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Items drawn uniformly, with replacement, from those that are not in this history.

    The history is the training history, and nothing else may be excluded: a sampler that also avoids the
    held-out item tells the model which one it is. `evaluation.probe_hit_rate` finds such leaks.

    Returns:
        Shape (count,); empty if the history holds every item.
    """
    known = np.unique(history.items)
    if len(known) == number_of_items:
        return np.zeros(0, dtype=np.int64)
    drawn = generator.integers(number_of_items - len(known), size=count)
    # The r-th unknown item is r plus the number of known items before it.
    gaps = known - np.arange(len(known))
    return np.asarray(drawn + np.searchsorted(gaps, drawn, side="right"), dtype=np.int64)


def spread_negatives(history: History, number_of_items: int, count: int) -> NDArray[np.int64]:
    """Items that are not in this history, evenly spread over the catalogue: for scoring, which draws nothing.

    Returns:
        Shape (count,), an item more than once where there are fewer; empty if the history holds every item.
    """
    unknown = np.setdiff1d(np.arange(number_of_items), history.items)
    if len(unknown) == 0:
        return unknown
    return unknown[np.arange(count) * len(unknown) // max(count, 1)]
