"""What a person's items are predicted from, as vectors of a few dimensions: the contexts of `sketched-slit`."""

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]


def recent_contexts(rows: Rows, weights: NDArray[np.float64]) -> Rows:
    """For each position but the first, the weighted sum of the rows before it.

    Args:
        rows: Vectors of the items in the order of the history, shape (n, dimension).
        weights: Weights of the items before a position, newest first; older ones weigh nothing.

    Returns:
        Shape (n - 1, dimension): row t is the context of item t + 1.
    """
    contexts = np.zeros((max(len(rows) - 1, 0), rows.shape[1]), dtype=np.float32)
    for age, weight in enumerate(weights[: len(contexts)].astype(np.float32)):
        contexts[age:] += weight * rows[: len(contexts) - age]
    return contexts


def other_contexts(rows: Rows) -> Rows:
    """For each item the sum of all the others, divided by the root of their number.

    Every item is predicted from the others only, which is what the zero diagonal of EASE is for.

    Args:
        rows: Vectors of the items, shape (n, dimension); their order does not matter.

    Returns:
        Shape (n, dimension); zeros for a single item.
    """
    others = rows.sum(axis=0, dtype=np.float32) - rows
    return np.asarray(others / np.float32(max(len(rows) - 1, 1) ** 0.5), dtype=np.float32)
