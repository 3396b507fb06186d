"""People's interactions as a matrix, for recipes whose networks take some people at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedrec_recipes.recipe import History

Matrix = NDArray[np.float32]


def interaction_matrix(histories: Sequence[History], number_of_items: int) -> Matrix:
    """Binary interactions, shape (len(histories), number_of_items)."""
    matrix = np.zeros((len(histories), number_of_items), dtype=np.float32)
    for row, history in zip(matrix, histories, strict=True):
        row[history.items] = 1.0
    return matrix


def unit_length(interactions: Matrix) -> Matrix:
    """Rows divided by their L2 norms: a network's inputs. An empty row stays empty."""
    norms = np.sqrt(np.maximum(interactions.sum(axis=1, keepdims=True), 1.0))
    return np.asarray(interactions / norms, dtype=np.float32)


def distribution(interactions: Matrix) -> Matrix:
    """Rows divided by their sums: a softmax's targets. An empty row stays empty."""
    counts = np.maximum(interactions.sum(axis=1, keepdims=True), 1.0)
    return np.asarray(interactions / counts, dtype=np.float32)


def drop(inputs: Matrix, probability: float, generator: np.random.Generator) -> Matrix:
    """Inverted dropout: each input is zero with this probability, the others grow to make up for it."""
    kept = generator.random(inputs.shape, dtype=np.float32) >= probability
    return inputs * kept / np.float32(1.0 - probability)
