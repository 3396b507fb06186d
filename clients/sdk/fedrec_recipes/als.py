"""Matrix factorisation by exact alternating least squares, federated (`als`)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.manifest import TrainingPlan
from fedrec_protocol.tensors import DType, Initialiser, InitialiserKind, Tensors, TensorSpec
from fedrec_recipes import implicit
from fedrec_recipes.packed import packed_size
from fedrec_recipes.recipe import History, LocalResult
from fedrec_recipes.statistics_recipe import StatisticsConfig, StatisticsRecipe, Totals, last

ITEM_EMBEDDINGS = "item_embeddings"
ITEM_GRAMS = "item_grams"
ITEM_SUMS = "item_sums"
ITEM_COUNT = "item_count"
USER_GRAM = "user_gram"
USER_COUNT = "user_count"
USER_VECTOR = "user_vector"


class AlsConfig(StatisticsConfig, implicit.ImplicitConfig):
    """Hyperparameters of `als`."""


class AlternatingLeastSquares(StatisticsRecipe[AlsConfig]):
    """iALS in which each round is one exact iteration of the central algorithm.

    The device solves its user vector p from the item embeddings; what the server needs to solve every item's
    embedding are three sums over people: p p^T, and for each item p p^T and p over those who chose it. A report
    is (dimension + 3) / 2 times that of `mf`, which needs a few rounds more to come as far; `als` is exact for
    any cohort, and the one to choose where rounds are dear and bytes are not.
    """

    name = "als"
    config_type = AlsConfig
    private = (USER_VECTOR,)
    usual_rounds = 12

    @property
    def shared(self) -> tuple[TensorSpec, ...]:
        """Item embeddings, shape (number_of_items, dimension)."""
        init = Initialiser(kind=InitialiserKind.NORMAL, scale=0.3 / self.config.dimension**0.5)
        return (
            TensorSpec(name=ITEM_EMBEDDINGS, shape=(self.config.number_of_items, self.config.dimension), init=init),
        )

    @property
    def statistics(self) -> tuple[TensorSpec, ...]:
        """Sums over people of 1, p and p p^T (packed): by item over those who chose it, and over all."""
        items, dimension = self.config.number_of_items, self.config.dimension
        return (
            TensorSpec(name=ITEM_GRAMS, shape=(items, packed_size(dimension))),
            TensorSpec(name=ITEM_SUMS, shape=(items, dimension)),
            TensorSpec(name=ITEM_COUNT, dtype=DType.I8, shape=(items,)),
            TensorSpec(name=USER_GRAM, shape=(packed_size(dimension),)),
            TensorSpec(name=USER_COUNT, dtype=DType.I8, shape=(1,)),
        )

    @property
    def largest_norm(self) -> float:
        """From |p|^2 <= 1 / r: the objective at p is at most the one at 0, which is the number of items."""
        longest = min(self.config.maximum_history, self.config.number_of_items)
        square = 1.0 / self.config.regularisation
        return float((longest * (square**2 + square + 1.0) + square**2 + 1.0) ** 0.5)

    def train(
        self, shared: Tensors, private: Tensors, history: History, plan: TrainingPlan, generator: np.random.Generator
    ) -> LocalResult:
        """This person's sums; the user vector stays on the device."""
        result = super().train(shared, private, history, plan, generator)
        vector = self._user_vector(shared, history).astype(np.float32)
        return LocalResult(result.report, result.examples, {USER_VECTOR: vector})

    def add(self, totals: dict[str, NDArray[Any]], base: Tensors, history: History) -> None:
        """Add one person's user vector to the sums."""
        vector = self._user_vector(base, history).astype(np.float32)
        products = np.outer(vector, vector)[np.triu_indices(len(vector))]
        items = np.unique(last(history, self.config.maximum_history))
        totals[ITEM_GRAMS][items] += products
        totals[ITEM_SUMS][items] += vector
        totals[ITEM_COUNT][items] += 1
        totals[USER_GRAM] += products
        totals[USER_COUNT] += 1

    def solve(
        self,
        base: Tensors,  # unused: an iteration starts from the user vectors
        totals: Totals,
    ) -> dict[str, NDArray[np.float32]]:
        """Every item's embedding by ridge regression on the vectors of those who chose it."""
        config = self.config
        dimension, weight = config.dimension, config.unobserved_weight
        hessians = _symmetric(totals[ITEM_GRAMS], dimension) + weight * _symmetric(totals[USER_GRAM], dimension)
        ridge = config.regularisation * (totals[ITEM_COUNT] + weight * totals[USER_COUNT])
        hessians += ridge[:, None, None] * np.eye(dimension)
        solved = np.linalg.solve(hessians, totals[ITEM_SUMS][:, :, None])[:, :, 0]
        return {ITEM_EMBEDDINGS: solved.astype(np.float32)}

    def score(
        self,
        shared: Tensors,
        private: Tensors,  # unused: a stored vector may be of an older item table
        history: History,
    ) -> NDArray[np.float32]:
        """Inner products of the item embeddings with the user vector solved from `history`."""
        vector = self._user_vector(shared, history).astype(np.float32)
        return np.asarray(shared[ITEM_EMBEDDINGS] @ vector, dtype=np.float32)

    def _user_vector(self, shared: Tensors, history: History) -> NDArray[np.float64]:
        return implicit.solve_user_vector(
            shared[ITEM_EMBEDDINGS],
            np.unique(last(history, self.config.maximum_history)),
            unobserved_weight=self.config.unobserved_weight,
            regularisation=self.config.regularisation,
        )


def _symmetric(packed: NDArray[np.float64], order: int) -> NDArray[np.float64]:
    """Whole matrices from upper triangles in the last axis."""
    rows, columns = np.triu_indices(order)
    matrices = np.empty((*packed.shape[:-1], order, order))
    matrices[..., rows, columns] = packed
    matrices[..., columns, rows] = packed
    return matrices
