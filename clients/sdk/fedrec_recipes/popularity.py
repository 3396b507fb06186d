"""The baseline that any recommender must beat: how many people chose an item (`popularity`)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.tensors import DType, Tensors, TensorSpec
from fedrec_recipes.recipe import History
from fedrec_recipes.statistics_recipe import StatisticsConfig, StatisticsRecipe, Totals, last

ITEM_COUNT = "item_count"


class Popularity(StatisticsRecipe[StatisticsConfig]):
    """Everybody's scores are the items' numbers of people."""

    name = "popularity"
    config_type = StatisticsConfig

    @property
    def shared(self) -> tuple[TensorSpec, ...]:
        """Numbers of people, shape (number_of_items,)."""
        return (TensorSpec(name=ITEM_COUNT, shape=(self.config.number_of_items,)),)

    @property
    def statistics(self) -> tuple[TensorSpec, ...]:
        """1 for each item in the history."""
        return (TensorSpec(name=ITEM_COUNT, dtype=DType.I8, shape=(self.config.number_of_items,)),)

    @property
    def largest_norm(self) -> float:
        """The root of the longest history."""
        return float(min(self.config.maximum_history, self.config.number_of_items) ** 0.5)

    def add(
        self,
        totals: dict[str, NDArray[Any]],
        base: Tensors,  # unused: the sums do not depend on the model
        history: History,
    ) -> None:
        """Count the items of one person."""
        totals[ITEM_COUNT][np.unique(last(history, self.config.maximum_history))] += 1

    def solve(
        self,
        base: Tensors,  # unused: the counts are the model
        totals: Totals,
    ) -> dict[str, NDArray[np.float32]]:
        """The counts themselves."""
        return {ITEM_COUNT: totals[ITEM_COUNT].astype(np.float32)}

    def score(
        self,
        shared: Tensors,
        private: Tensors,  # unused
        history: History,  # unused: the same for everybody
    ) -> NDArray[np.float32]:
        """The counts."""
        return np.asarray(shared[ITEM_COUNT], dtype=np.float32)
