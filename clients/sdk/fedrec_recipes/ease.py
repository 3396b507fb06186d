"""EASE, the shallow autoencoder with a closed form, from one report per person (`ease`)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat

from fedrec_protocol.tensors import DType, Tensors, TensorSpec
from fedrec_recipes.linear import ITEM_WEIGHTS, LinearItemModel, recency
from fedrec_recipes.packed import packed_size, positions, unpack
from fedrec_recipes.recipe import History
from fedrec_recipes.statistics_recipe import StatisticsConfig, Totals, last

ITEM_GRAM = "item_gram"

_AT_ONCE = 250
"""Items whose pairs are looked up together: some megabytes."""


class EaseConfig(StatisticsConfig):
    """Hyperparameters of `ease`."""

    regularisation: PositiveFloat = 4.0
    """λ as a multiple of the mean number of people per item, so that it suits any catalogue."""
    half_life: PositiveFloat | None = None
    """Recency on the device: interactions after which an older one counts half; null weighs all alike."""


class Ease(LinearItemModel[EaseConfig]):
    """Steck 2019, https://arxiv.org/abs/1905.03375: item weights from the Gram matrix of the interactions.

    The report is the upper triangle of x x^T for the person's binary vector x, as bytes. Sums are integers,
    so the federated model is the central one bit for bit.
    """

    name = "ease"
    config_type = EaseConfig

    @property
    def statistics(self) -> tuple[TensorSpec, ...]:
        """The packed upper triangle of x x^T."""
        return (TensorSpec(name=ITEM_GRAM, dtype=DType.I8, shape=(packed_size(self.config.number_of_items),)),)

    @property
    def largest_norm(self) -> float:
        """All pairs of the longest history."""
        return float(packed_size(min(self.config.maximum_history, self.config.number_of_items)) ** 0.5)

    def add(
        self,
        totals: dict[str, NDArray[Any]],
        base: Tensors,  # unused: the sums do not depend on the model
        history: History,
    ) -> None:
        """Count the pairs of items of one person."""
        add_pairs(
            totals[ITEM_GRAM], np.unique(last(history, self.config.maximum_history)), 1, self.config.number_of_items
        )

    def solve(
        self,
        base: Tensors,  # unused: the model follows from the sums
        totals: Totals,
    ) -> dict[str, NDArray[np.float32]]:
        """Item weights in closed form."""
        gram = unpack(totals[ITEM_GRAM], self.config.number_of_items)
        people_per_item = max(float(np.trace(gram)), 1.0) / len(gram)
        return {ITEM_WEIGHTS: solve_ease(gram, self.config.regularisation * people_per_item)}

    def history_weights(self, length: int) -> NDArray[np.float32]:
        """Recency, if it is on."""
        return recency(length, self.config.half_life)


def add_pairs(packed: NDArray[Any], items: NDArray[np.int64], value: float, number_of_items: int) -> None:
    """Add `value` for every pair of distinct sorted `items`, the pair of an item with itself included."""
    if len(items) <= _AT_ONCE:
        older, newer = np.triu_indices(len(items))
        packed[positions(items[older], items[newer], number_of_items)] += value
        return
    for index, item in enumerate(items):
        # One row of the triangle at a time: a history of thousands of items has millions of pairs.
        packed[positions(item, items[index:], number_of_items)] += value


def solve_ease(gram: NDArray[np.float64], regularisation: float) -> NDArray[np.float32]:
    """The item weights B that minimise ||X - X B||^2 + λ ||B||^2 with a zero diagonal.

    With P = (X^T X + λ I)^-1: B_ij = -P_ij / P_jj off the diagonal (Steck 2019, eq. 8).

    Args:
        gram: X^T X, shape (number_of_items, number_of_items).
        regularisation: λ.
    """
    regularised = gram.copy()
    regularised[np.diag_indices_from(regularised)] += regularisation
    inverse = np.linalg.inv(regularised)
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return weights.astype(np.float32)
