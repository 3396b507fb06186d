"""How many people are behind each item: what a popularity floor reads, as a tensor of the model."""

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.popularity_floor import ITEM_POPULARITY
from fedrec_protocol.tensors import Tensors, TensorSpec
from fedrec_recipes.recipe import History, RecipeConfig
from fedrec_recipes.running_mean import running_mean_delta

_RATE = 0.5


class CountingConfig(RecipeConfig):
    """Hyperparameters of a recipe that can count people for a popularity floor."""

    counts_people: bool = False
    """Whether the model holds `item_popularity`, the share of a cohort behind each item: a popularity floor needs it.
    It takes a part of the report's norm: at most half the root of the number of items that a person has."""


def people_count(config: CountingConfig) -> tuple[TensorSpec, ...]:
    """The share of people behind each item, shape (number_of_items,); nothing where it is not counted."""
    return (TensorSpec(name=ITEM_POPULARITY, shape=(config.number_of_items,)),) if config.counts_people else ()


def count_person(config: CountingConfig, base: Tensors, history: History) -> dict[str, NDArray[np.float32]]:
    """One person's part of the running mean: a delta of `item_popularity`, where it is counted."""
    if not config.counts_people:
        return {}
    chosen = np.zeros(config.number_of_items)
    chosen[history.items] = 1.0
    return {ITEM_POPULARITY: running_mean_delta(base[ITEM_POPULARITY], chosen, _RATE).astype(np.float32)}
