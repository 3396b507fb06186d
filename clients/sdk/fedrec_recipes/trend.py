"""Which items come up more among what people chose last than among all that they chose: the trend of `blend`."""

import numpy as np
from numpy.typing import NDArray

LATEST = 3
"""Interactions at the end of a history that are counted again."""

_PRIOR_COUNT = 10.0
"""Interactions by which every item is thought to come up as often as ever, before any is counted."""


def latest_items(items: NDArray[np.int64]) -> NDArray[np.int64]:
    """The distinct items of the last `LATEST` interactions."""
    return np.unique(items[max(len(items) - LATEST, 0) :])


def trend(latest_count: NDArray[np.float64], item_count: NDArray[np.float64]) -> NDArray[np.float32]:
    """Logarithm of how much more often an item is among the latest than its count lets expect.

    Items that people begin with have a negative trend, new ones a positive one. Everybody counts with as many
    interactions, so what few people chose many of is below its count too.

    Args:
        latest_count: People with the item in their `latest_items`, shape (number_of_items,).
        item_count: People with the item anywhere, same shape.

    Where noise has made a count negative it is taken as none.

    Returns:
        Shape (number_of_items,); zeros for items without interactions.
    """
    latest, known = np.maximum(latest_count, 0.0), np.maximum(item_count, 0.0)
    expected = known * latest.sum() / max(float(known.sum()), 1.0)
    ratio = (latest + _PRIOR_COUNT) / (expected + _PRIOR_COUNT)
    return np.asarray(np.log(ratio), dtype=np.float32)
