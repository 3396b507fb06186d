"""Which pairs of items are worth counting, by what is known of the items."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_BLOCK = 256
"""Items that are compared with all others at once: thousands of items take megabytes, not hundreds of them."""


def nearest_pairs(vectors: NDArray[np.float32], nearest: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of which one is among the `nearest` of the other, by the cosine of their vectors.

    Who has many items has them for many reasons, and most of their pairs mean nothing. Those of items that are near
    each other are few, and mean more.

    Args:
        vectors: What tells the items apart, shape (n, any).
        nearest: Others that each item is paired with at least, if there are so many.

    Returns:
        Places of the pairs in `vectors`, the lower of a pair first; each pair once.
    """
    count = len(vectors)
    if count < 2:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    nearest = min(nearest, count - 1)
    keys = []
    for start, cosines in _cosines(vectors):
        places = np.arange(start, start + len(cosines))[:, None]
        np.put_along_axis(cosines, places, -np.inf, axis=1)  # nothing is its own neighbour
        near = _largest(cosines, nearest)
        keys.append(np.minimum(places, near) * count + np.maximum(places, near))
    first, second = np.divmod(np.unique(np.concatenate(keys)), count)
    return first, second


def near_items(vectors: NDArray[np.float32], nearest: int) -> Iterator[NDArray[np.int64]]:
    """For every item, in order, the places of the `nearest` to it, in order; itself is one of them."""
    for _, cosines in _cosines(vectors):
        yield from np.sort(_largest(cosines, min(nearest, len(vectors))), axis=1)


def _largest(values: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Places of the largest values of each row, in no order."""
    return np.asarray(np.argpartition(-values, count - 1, axis=1)[:, :count], dtype=np.int64)


def _cosines(vectors: NDArray[np.float32]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Cosines of some items with all, shape (some, n), and the place of the first of them; zero for zero vectors."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    for start in range(0, len(vectors), _BLOCK):
        yield start, unit[start : start + _BLOCK] @ unit.T
