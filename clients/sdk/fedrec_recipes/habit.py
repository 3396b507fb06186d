"""What people come back to: their own items by how often they had them (`habit`)."""

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat

from fedrec_protocol.tensors import Tensors
from fedrec_recipes.popularity import Popularity
from fedrec_recipes.recipe import History
from fedrec_recipes.statistics_recipe import StatisticsConfig


class HabitConfig(StatisticsConfig):
    """How fast a habit is forgotten."""

    forgetting: NonNegativeFloat = 0.25
    """A time with k later interactions counts (1 + k/2)^-forgetting."""


class Habit(Popularity):
    """Scores of a person's own items are how often they had them, late times a little more; others come by popularity.

    Where people buy, hear and visit the same again, this is hard to beat (Li et al. 2023,
    https://doi.org/10.1145/3587153), and no server needs to know any of it: what people share is `popularity`.
    Beside a model of new items, as a member of `combined`, it brings back the old ones.
    """

    name = "habit"
    config_type = HabitConfig
    config: HabitConfig

    @property
    def keeps_seen(self) -> bool:
        """It is for what comes again."""
        return True

    def score(
        self,
        shared: Tensors,
        private: Tensors,  # unused
        history: History,
    ) -> NDArray[np.float32]:
        """Weighted counts, and below all of them popularity."""
        items = self.config.number_of_items
        later = np.arange(len(history) - 1, -1, -1)
        weights = (1.0 + later / 2.0) ** -self.config.forgetting
        own = np.bincount(history.items, weights=weights, minlength=items)
        popularity = np.asarray(super().score(shared, private, history), dtype=np.float64)
        least = weights.min(initial=1.0) / 2.0
        return np.asarray(own + least * popularity / max(float(popularity.max()), 1.0), dtype=np.float32)
