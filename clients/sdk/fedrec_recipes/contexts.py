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
