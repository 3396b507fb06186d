"""Graph filtering for collaborative filtering from sums over people (`gfcf`)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from fedrec_protocol.tensors import DType, Tensors, TensorSpec
from fedrec_recipes.ease import add_pairs
from fedrec_recipes.linear import ITEM_WEIGHTS, LinearItemModel, recency
from fedrec_recipes.packed import packed_size, unpack
from fedrec_recipes.recipe import History
from fedrec_recipes.statistics_recipe import StatisticsConfig, Totals, last

ITEM_COUNT = "item_count"
NORMALISED_GRAM = "normalised_gram"


class GfcfConfig(StatisticsConfig):
    """Hyperparameters of `gfcf`; defaults are the paper's."""

    dimension: PositiveInt = 256
    """Singular vectors that the ideal low-pass filter keeps."""
    low_pass_weight: NonNegativeFloat = 0.3
    """Weight of the ideal low-pass filter beside the linear one."""
    half_life: PositiveFloat | None = None
    """Recency on the device: interactions after which an older one counts half; null weighs all alike."""


class Gfcf(LinearItemModel[GfcfConfig]):
    """Shen et al. 2021, https://arxiv.org/abs/2108.07567: a linear and an ideal low-pass graph filter.

    With R~ = D_U^-1/2 R D_I^-1/2, scores are r (R~^T R~ + a D_I^-1/2 V V^T D_I^1/2), V the leading right singular
    vectors of R~ and a `low_pass_weight`. All of it follows from the items' degrees and from sum_u x x^T / d_u.
    """

    name = "gfcf"
    config_type = GfcfConfig

    @property
    def statistics(self) -> tuple[TensorSpec, ...]:
        """X x^T divided by the person's degree, packed, and x itself."""
        items = self.config.number_of_items
        return (
            TensorSpec(name=NORMALISED_GRAM, shape=(packed_size(items),)),
            TensorSpec(name=ITEM_COUNT, dtype=DType.I8, shape=(items,)),
        )

    @property
    def largest_norm(self) -> float:
        """At most one from the Gram matrix, and the root of the longest history from the degrees."""
        return float((1 + min(self.config.maximum_history, self.config.number_of_items)) ** 0.5)

    def add(
        self,
        totals: dict[str, NDArray[Any]],
        base: Tensors,  # unused: the sums do not depend on the model
        history: History,
    ) -> None:
        """Add one person's pairs, divided by the number of their items."""
        items = np.unique(last(history, self.config.maximum_history))
        # float32 as in a report, so that a central sum adds the numbers that a device would send.
        value = float(np.float32(1.0 / max(len(items), 1)))
        add_pairs(totals[NORMALISED_GRAM], items, value, self.config.number_of_items)
        totals[ITEM_COUNT][items] += 1

    def solve(
        self,
        base: Tensors,  # unused: the model follows from the sums
        totals: Totals,
    ) -> dict[str, NDArray[np.float32]]:
        """Both filters as one matrix of item weights."""
        roots = np.sqrt(np.maximum(totals[ITEM_COUNT], 1.0))
        linear = unpack(totals[NORMALISED_GRAM], self.config.number_of_items) / np.outer(roots, roots)
        _, vectors = np.linalg.eigh(linear)
        leading = vectors[:, -self.config.dimension :]
        low_pass = (leading / roots[:, None]) @ (leading.T * roots)
        return {ITEM_WEIGHTS: (linear + self.config.low_pass_weight * low_pass).astype(np.float32)}

    def history_weights(self, length: int) -> NDArray[np.float32]:
        """Recency, if it is on."""
        return recency(length, self.config.half_life)
