"""A round of `mf` vectorised by hand with numpy: what the simulator is measured against.

Batches of people are stacked into arrays with a leading axis; no fixed-point grid, no norm bound, no reports.
"""

from collections.abc import Sequence

import numpy as np

from fedrec_protocol.popularity_floor import ITEM_POPULARITY
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.mf import ITEM_EMBEDDINGS, USER_GRAM, MatrixFactorisationConfig
from fedrec_recipes.recipe import History

_BATCH = 16
"""The fastest of 4, 8, 16, 32 and 64 where this was written: larger stacks leave the cache."""
_CURVATURE_OF_OBSERVED = 2.0


def stacked_round(
    config: MatrixFactorisationConfig, base: Tensors, people: Sequence[History], learning_rate: float
) -> np.ndarray:
    """The next item embeddings, shape (number_of_items, dimension)."""
    items = base[ITEM_EMBEDDINGS].astype(np.float64)
    weight, ridge = config.unobserved_weight, config.regularisation
    gram = weight * (items.T @ items)
    inverse = np.linalg.inv(base[USER_GRAM].astype(np.float64) + ridge * np.eye(config.dimension))
    curvature = _CURVATURE_OF_OBSERVED * base[ITEM_POPULARITY].astype(np.float64) + weight
    pull = items @ inverse
    total = np.zeros(items.shape)
    for start in range(0, len(people), _BATCH):
        chosen = _indicators(people[start : start + _BATCH], len(items))
        vectors = _user_vectors(items, chosen, gram, ridge, ridge * weight * len(items))
        predicted = vectors @ items.T
        residual = (chosen * (1.0 - predicted) - weight * predicted) / curvature
        steps = residual[:, :, None] * (vectors @ inverse)[:, None, :]
        steps -= (ridge * (chosen + weight) / curvature)[:, :, None] * pull
        total += (learning_rate * steps).astype(np.float32).sum(axis=0)
    return items + total / len(people)


def _indicators(people: Sequence[History], number_of_items: int) -> np.ndarray:
    chosen = np.zeros((len(people), number_of_items))
    for row, history in enumerate(people):
        chosen[row, history.items] = 1.0
    return chosen


def _user_vectors(items: np.ndarray, chosen: np.ndarray, gram: np.ndarray, ridge: float, constant: float) -> np.ndarray:
    hessians = gram + np.stack([items[row > 0].T @ items[row > 0] for row in chosen])
    hessians += (ridge * chosen.sum(axis=1) + constant)[:, None, None] * np.eye(items.shape[1])
    return np.linalg.solve(hessians, (chosen @ items)[:, :, None])[:, :, 0]
