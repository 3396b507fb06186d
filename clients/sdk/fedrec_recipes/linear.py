"""Linear item-item models: a weighted history times a matrix of item weights."""

from abc import abstractmethod
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.tensors import Tensors, TensorSpec
from fedrec_recipes.recipe import History
from fedrec_recipes.statistics_recipe import StatisticsConfig, StatisticsRecipe

ITEM_WEIGHTS = "item_weights"

LinearConfigT = TypeVar("LinearConfigT", bound=StatisticsConfig)


class LinearItemModel(StatisticsRecipe[LinearConfigT], Generic[LinearConfigT]):
    """Scores are h W: h weighs the items of the history, W is solved from sums over people."""

    @abstractmethod
    def history_weights(self, length: int) -> NDArray[np.float32]:
        """Weight of each interaction of a history of this length when scoring, oldest first."""

    @property
    def shared(self) -> tuple[TensorSpec, ...]:
        """W, shape (number_of_items, number_of_items): row i is what item i says about the others."""
        items = self.config.number_of_items
        return (TensorSpec(name=ITEM_WEIGHTS, shape=(items, items)),)

    def score(
        self,
        shared: Tensors,
        private: Tensors,  # unused: a linear model has none
        history: History,
    ) -> NDArray[np.float32]:
        """The sum of the history's rows of W, weighted by their recency."""
        weights = self.history_weights(len(history))
        kept = np.flatnonzero(weights)
        rows = shared[ITEM_WEIGHTS][history.items[kept]]
        return np.asarray(weights[kept] @ rows, dtype=np.float32)


def recency(length: int, half_life: float | None) -> NDArray[np.float32]:
    """Weights of a history, oldest first: halved for every `half_life` later interactions; None weighs all alike."""
    if half_life is None:
        return np.ones(length, dtype=np.float32)
    ages = np.arange(length - 1, -1, -1)
    return np.asarray(0.5 ** (ages / half_life), dtype=np.float32)


def slow_recency(length: int, half_life: float) -> NDArray[np.float32]:
    """Weights of a history, oldest first: 1/2 after `half_life` later interactions, 1/3 after twice as many, ...

    Such a power law forgets slowly what is long ago; it ranked better than halving again and again on most data sets.
    """
    ages = np.arange(length - 1, -1, -1)
    return np.asarray(1 / (1 + ages / half_life), dtype=np.float32)
