"""The linear next-item model of SLIST from two sums over people (`slit`)."""

import functools
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt, model_validator

from fedrec_protocol.tensors import DType, Tensors, TensorSpec
from fedrec_recipes.linear import ITEM_WEIGHTS, LinearItemModel
from fedrec_recipes.packed import packed_size, positions, unpack
from fedrec_recipes.recipe import History
from fedrec_recipes.statistics_recipe import StatisticsConfig, Totals, last, without_repeats

CONTEXT_GRAM = "context_gram"
NEXT_ITEM = "next_item"

NEWEST_WEIGHT = 32
"""Integer weight of the newest item. Sums of squares stay within int16, and a report stays short enough
for the fixed-point grid of a round with thousands of reports."""

NEXT, AFTER_NEXT = 4, 1
"""What a context predicts: four times the next item and once the one after it, in units of 1/4."""


class SlitConfig(StatisticsConfig):
    """Hyperparameters of `slit`."""

    window: PositiveInt = 100
    """Items of a context; older ones weigh nothing."""
    power: PositiveFloat = 1.0
    """The item k places back weighs (1 + k / offset)^-power."""
    offset: PositiveFloat = 2.0
    """Places back at which the weight has fallen to 2^-power."""
    regularisation: PositiveFloat = 300.0
    """λ, on sums in which the newest item of a context has weight 1. Like the variance of a prior it does not depend
    on how much data there is: 200 to 800 suited all data sets tried, which had 13 to 270 events an item."""

    @model_validator(mode="after")
    def _sums_fit(self) -> Self:
        if _running_products(self.context_weights)[0][-1] > np.iinfo(np.int16).max:
            raise ValueError("a report has int16: let weights fall faster (power, offset), or make the window shorter")
        return self

    @property
    def context_weights(self) -> tuple[int, ...]:
        """Integer weights of the last items, newest first; as many as `window`."""
        ages = np.arange(self.window)
        return tuple(np.rint(NEWEST_WEIGHT * (1 + ages / self.offset) ** -self.power).astype(int).tolist())

    @property
    def following_weights(self) -> tuple[int, ...]:
        """Integer weights of the pairs of an item and the one 1, 2, 3, ... places later; one more than `window`."""
        as_next = np.array([*self.context_weights, 0])
        as_after_next = np.array([0, *self.context_weights])
        return tuple(np.rint(as_next + as_after_next * (AFTER_NEXT / NEXT)).astype(int).tolist())


class Slit(LinearItemModel[SlitConfig]):
    """Predicts the next item linearly from the last ones, weighted by recency.

    For every position t of a history, z_t is the vector of the last `window` items, weighted by recency, and
    y_t the next item and a quarter of the one after it; W minimises sum ||y_t - z_t W||^2 + λ ||W||^2, so
    W = (S + λ I)^-1 C with S = sum z_t z_t^T and C = sum z_t y_t^T. This is SLIT of Choi et al., WWW 2021,
    https://arxiv.org/abs/2103.16104, with one partial session for every position. Weights fall by a power law: on
    all data sets tried it was at least as good as the exponential one of the paper, since it forgets slowly what is
    long ago.

    Weights are rounded to 1/32 so that a report is small (int16 and int8) and sums are exact: the federated
    model is the central one bit for bit.
    """

    name = "slit"
    config_type = SlitConfig

    @property
    def context_weights(self) -> NDArray[np.int64]:
        """Integer weights of the last items, newest first, shape (window,)."""
        return np.array(self.config.context_weights, dtype=np.int64)

    @property
    def statistics(self) -> tuple[TensorSpec, ...]:
        """S, packed, and C, shape (number_of_items, number_of_items)."""
        items = self.config.number_of_items
        return (
            TensorSpec(name=CONTEXT_GRAM, dtype=DType.I16, shape=(packed_size(items),)),
            TensorSpec(name=NEXT_ITEM, dtype=DType.I8, shape=(items, items)),
        )

    @property
    def largest_norm(self) -> float:
        """Both matrices for the longest history: a pair d places apart meets in at most `window` - d contexts."""
        pairs = [float(products[-1]) for products in _running_products(self.config.context_weights)]
        following = np.array(self.config.following_weights, dtype=np.float64)
        of_one_item = sum(product**2 for product in pairs) + float((following**2).sum())
        longest = min(self.config.maximum_history, self.config.number_of_items)
        return float((longest * of_one_item) ** 0.5)

    def add(
        self,
        totals: dict[str, NDArray[Any]],
        base: Tensors,  # unused: the sums do not depend on the model
        history: History,
    ) -> None:
        """Add one person's contexts and next items."""
        items = without_repeats(last(history, self.config.maximum_history))
        for between, weight in enumerate(self.config.following_weights[: len(items)]):
            following = items[between + 1 :]
            totals[NEXT_ITEM][items[: len(following)], following] += weight
        self._add_gram(totals[CONTEXT_GRAM], items[:-1], self.context_weights)

    def _add_gram(self, packed: NDArray[Any], contexts: NDArray[np.int64], weights: NDArray[np.int64]) -> None:
        """Add sum_t z_t z_t^T for contexts that end at each of the items in turn."""
        products = _running_products(self.config.context_weights)
        count = len(contexts)
        for distance in range(min(len(weights), count)):
            newer = contexts[distance:]
            older = contexts[: count - distance]
            # The pair is in a context of every item from the newer one on, until the older leaves the window.
            length = np.minimum(count - np.arange(distance, count), len(weights) - distance)
            where = positions(older, newer, self.config.number_of_items)
            packed[where] += products[distance][length].astype(packed.dtype)

    def solve(
        self,
        base: Tensors,  # unused: the model follows from the sums
        totals: Totals,
    ) -> dict[str, NDArray[np.float32]]:
        """Item weights in closed form."""
        return {ITEM_WEIGHTS: np.linalg.solve(*self.normal_equations(totals)).astype(np.float32)}

    def normal_equations(self, totals: Totals) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """S + λ I and C in units of weights, both of shape (number_of_items, number_of_items)."""
        gram = unpack(totals[CONTEXT_GRAM], self.config.number_of_items) / NEWEST_WEIGHT**2
        gram[np.diag_indices_from(gram)] += self.config.regularisation
        return gram, totals[NEXT_ITEM] / NEWEST_WEIGHT

    def history_weights(self, length: int) -> NDArray[np.float32]:
        """The weights of the last context."""
        weights = np.zeros(length, dtype=np.float32)
        newest_first = self.context_weights[:length] / NEWEST_WEIGHT
        weights[length - len(newest_first) :] = newest_first[::-1]
        return weights


@functools.lru_cache(maxsize=8)
def _running_products(context_weights: tuple[int, ...]) -> list[NDArray[np.int64]]:
    """For each distance d: sums of w_k w_{k+d} over the first 0, 1, 2, ... values of k."""
    weights = np.array(context_weights, dtype=np.int64)
    pairs = [weights[: len(weights) - distance] * weights[distance:] for distance in range(len(weights))]
    return [np.concatenate([[0], np.cumsum(products)]) for products in pairs]
