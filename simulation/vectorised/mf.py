"""`mf` for many people: everything that only depends on the item table is computed once.

Each person's share of the step costs two passes over the table, both in cache. The order of every floating-point
operation is that of `MatrixFactorisation.train`, and matrix products are the same calls on the same shapes, so the
reports have the same bits.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fedrec_protocol.manifest import TrainingPlan
from fedrec_protocol.popularity_floor import ITEM_POPULARITY
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.mf import (
    ITEM_EMBEDDINGS,
    USER_GRAM,
    USER_VECTOR,
    MatrixFactorisation,
    MatrixFactorisationConfig,
)
from fedrec_recipes.recipe import History, LocalResult
from fedrec_recipes.running_mean import running_mean_delta

Array = NDArray[np.float64]

_CURVATURE_OF_OBSERVED = 2.0  # as in `fedrec_recipes.mf`; a test holds the two equal


class VectorisedMatrixFactorisation:
    """Trains and scores for many people from one item table."""

    def __init__(self, recipe: MatrixFactorisation) -> None:
        self._config = recipe.config

    def train_many(
        self,
        shared: Tensors,
        privates: Iterable[Tensors],  # unused, as in the recipe
        histories: Iterable[History],
        plan: TrainingPlan,
        generators: Iterable[np.random.Generator],  # unused: nothing is random
    ) -> Iterator[LocalResult]:
        """One step from each person's history."""
        table = _Table(self._config, shared)
        step = _Step(self._config, shared, table, plan.learning_rate)
        for history in histories:
            vector = table.user_vector(history.items)
            report = step.report(vector, history.items)
            yield LocalResult(report, len(history), {USER_VECTOR: vector.astype(np.float32)})

    def score_many(
        self, shared: Tensors, privates: Iterable[Tensors], histories: Iterable[History]
    ) -> Iterator[NDArray[np.float32]]:
        """Inner products with the user vector solved from each history."""
        table = _Table(self._config, shared)
        for history in histories:
            vector = table.user_vector(history.items).astype(np.float32)
            yield np.asarray(shared[ITEM_EMBEDDINGS] @ vector, dtype=np.float32)


class _Table:
    """The item embeddings with their Gram matrix, ready to solve user vectors."""

    def __init__(self, config: MatrixFactorisationConfig, shared: Tensors) -> None:
        self.items: Array = np.asarray(shared[ITEM_EMBEDDINGS], dtype=np.float64)
        self._gram = config.unobserved_weight * (self.items.T @ self.items)
        self._ridge = config.regularisation
        self._unobserved = config.unobserved_weight * len(self.items)
        self._diagonal = slice(None, None, config.dimension + 1)

    def user_vector(self, items: NDArray[np.int64]) -> Array:
        """As `implicit.solve_user_vector`."""
        observed = self.items[items]
        hessian = self._gram + observed.T @ observed
        hessian.reshape(-1)[self._diagonal] += self._ridge * (len(items) + self._unobserved)
        return np.linalg.solve(hessian, observed.sum(axis=0))


class _Step:
    """The approximate Newton step of `MatrixFactorisation`, into buffers that are used again."""

    def __init__(self, config: MatrixFactorisationConfig, shared: Tensors, table: _Table, learning_rate: float) -> None:
        self._table, self._shared, self._learning_rate = table, shared, learning_rate
        self._weight, self._ridge = config.unobserved_weight, config.regularisation
        self._chosen = np.zeros(config.number_of_items)
        self._step = np.zeros((config.number_of_items, config.dimension), np.float32)
        gram = np.asarray(shared[USER_GRAM], dtype=np.float64)
        self._has_curvature = bool(gram.any())
        if self._has_curvature:
            self._inverse = np.linalg.inv(gram + self._ridge * np.eye(len(gram)))
            self._pull = table.items @ self._inverse
            popularity = shared[ITEM_POPULARITY].astype(np.float64)
            self._curvature = _CURVATURE_OF_OBSERVED * popularity + self._weight

    def report(self, vector: Array, items: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """The delta of the shared tensors; the item embeddings' is valid until the next call."""
        self._chosen[items] = 1.0
        if self._has_curvature:
            predicted = self._table.items @ vector
            residual = (self._chosen * (1.0 - predicted) - self._weight * predicted) / self._curvature
            shrinkage = self._ridge * (self._chosen + self._weight) / self._curvature
            _rank_one_step(residual, self._inverse @ vector, shrinkage, self._pull, self._learning_rate, out=self._step)
        report = {
            ITEM_EMBEDDINGS: self._step,
            ITEM_POPULARITY: self._mean_delta(ITEM_POPULARITY, self._chosen),
            USER_GRAM: self._mean_delta(USER_GRAM, np.outer(vector, vector)),
        }
        self._chosen[items] = 0.0
        return report

    def _mean_delta(self, name: str, value: Array) -> NDArray[np.float32]:
        return running_mean_delta(self._shared[name], value, min(self._learning_rate, 1.0)).astype(np.float32)


@njit(nogil=True, cache=True)
def _rank_one_step(  # noqa: PLR0917 - numba has no keyword-only parameters
    residual: Array, direction: Array, shrinkage: Array, pull: Array, learning_rate: float, out: NDArray[np.float32]
) -> None:
    """Fill `out` with learning_rate * (residual (x) direction - shrinkage * pull), rounding each operation."""
    for item in range(out.shape[0]):
        for factor in range(out.shape[1]):
            moved = residual[item] * direction[factor] - shrinkage[item] * pull[item, factor]
            out[item, factor] = learning_rate * moved
