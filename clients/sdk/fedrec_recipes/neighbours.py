"""Item neighbourhoods that withstand noise: the recommender for user-level differential privacy (`neighbours`)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt

from fedrec_protocol.tensors import Tensors, TensorSpec
from fedrec_recipes.linear import recency
from fedrec_recipes.packed import packed_size, positions, unpack
from fedrec_recipes.recipe import History
from fedrec_recipes.statistics_recipe import StatisticsConfig, StatisticsRecipe, Totals, last, without_repeats

ITEM_COUNT = "item_count"
HEAD_WEIGHTS = "head_weights"
PAIRS = "pairs"

_WITHIN_ONE = 1.0 - 2.0**-20
"""Rounding to float32 must not carry a report of norm 1 over its bound."""
_TAIL_PENALTY = 3.0
"""What an item outside the head scores below its popularity, in standard deviations of a person's scores."""


class NeighboursConfig(StatisticsConfig):
    """Hyperparameters of `neighbours`; `for_noise` chooses those that depend on the noise."""

    head: PositiveInt = 300
    """Items with weights: the most popular ones, by the noisy counts of the first round."""
    count_deviation: PositiveFloat = 3.0
    """Standard deviation of the noise on the first round's sums: its noise multiplier, for reports of norm 1."""
    pair_deviation: PositiveFloat = 1.0
    """The same of the second round's."""
    window: PositiveInt = 10
    """Largest distance, in the history of head items, of two items that are a pair."""
    decay: float = Field(default=0.7, gt=0, le=1)
    """A pair d apart weighs decay^d."""
    count_power: float = Field(default=0.25, ge=0, le=1)
    """A pair weighs the product of its items' counts to minus this power: the popular ones are known anyway."""
    regularisation: PositiveFloat = 2.0
    """λ as a multiple of the largest eigenvalue that noise alone would have."""
    half_life: PositiveFloat = 2.0
    """Recency on the device: later interactions after which an older one counts half."""
    popularity: float = Field(default=0.1, ge=0)
    """Weight of the standardised logarithms of the counts."""

    @classmethod
    def for_noise(cls, *, number_of_items: int, people: int, noise_multiplier: float) -> "NeighboursConfig":
        """The hyperparameters for one noise multiplier of both rounds together.

        A tenth of the budget (of 1 / z^2) goes to the counts. The head grows with the square root of people over
        noise: each of h^2 pairs gets a share of `people` norms, which has to stand out of the same noise.
        """
        head = max(round(10 * (people / noise_multiplier) ** 0.5), 2)
        return cls(
            number_of_items=number_of_items,
            head=head,
            count_deviation=noise_multiplier / 0.1**0.5,
            pair_deviation=noise_multiplier / 0.9**0.5,
        )


class Neighbours(StatisticsRecipe[NeighboursConfig]):
    """Which items follow each other closely, from two noisy sums.

    Round 1 sums x / ||x|| for each person's binary vector x: noisy counts, which name the head. Round 2 sums, over
    the head, P / ||P||_F with P the symmetric matrix of the pairs within a short window. Every report has norm 1
    by construction, however long the history, so nothing is clipped. As in the noisy Gram matrix of Dwork et al.
    2014, https://doi.org/10.1145/2591796.2591883, the noise is a symmetric matrix whose eigenvalues are known: h items
    and deviation s give at most 2 s sqrt(h). With the sum V diag(l) V^T and l+ the positive part of l, the weights
    are V diag(l+ / (l+ + λ)) V^T: ridge regression on the sums, with λ in units of that bound. All of this is
    arithmetic on what was released, and so is recency on the device: neither costs privacy.
    """

    name = "neighbours"
    config_type = NeighboursConfig
    usual_rounds = 2

    @property
    def shared(self) -> tuple[TensorSpec, ...]:
        """Noisy counts of all items, and the weights among the head, in order of falling counts."""
        config = self.config
        return (
            TensorSpec(name=ITEM_COUNT, shape=(config.number_of_items,)),
            TensorSpec(name=HEAD_WEIGHTS, shape=(self._size, self._size)),
        )

    @property
    def statistics(self) -> tuple[TensorSpec, ...]:
        """The vector x / ||x|| in round 1, P / ||P||_F, packed, in round 2; zeros elsewhere."""
        return (
            TensorSpec(name=ITEM_COUNT, shape=(self.config.number_of_items,)),
            TensorSpec(name=PAIRS, shape=(packed_size(self._size),)),
        )

    @property
    def largest_norm(self) -> float:
        """One."""
        return 1.0

    def add(self, totals: dict[str, NDArray[Any]], base: Tensors, history: History) -> None:
        """Add one person's items, or, once the base has counts, the pairs among its head."""
        items = without_repeats(last(history, self.config.maximum_history))
        if not np.any(base[ITEM_COUNT]):
            if len(items):
                totals[ITEM_COUNT][items] += _WITHIN_ONE / len(items) ** 0.5
            return
        head = self._head(base)
        place = np.full(self.config.number_of_items, -1)
        place[head] = np.arange(len(head))
        places = place[items]
        where, values = self._pairs(places[places >= 0], self._scale(base)[head])
        if len(where):
            totals[PAIRS][where] += _WITHIN_ONE / float(np.sqrt(np.square(values).sum())) * values

    def solve(self, base: Tensors, totals: Totals) -> dict[str, NDArray[np.float32]]:
        """The counts after round 1; after round 2 also the weights."""
        if not np.any(base[ITEM_COUNT]):
            return {
                ITEM_COUNT: totals[ITEM_COUNT].astype(np.float32),
                HEAD_WEIGHTS: np.zeros_like(base[HEAD_WEIGHTS]),
            }
        scale = self._scale(base)[self._head(base)]
        pairs = unpack(totals[PAIRS], self._size)
        np.fill_diagonal(pairs, 0.0)  # nobody is a pair with itself: what is there is noise
        weights = self._denoised(pairs)
        np.fill_diagonal(weights, 0.0)
        # The history's popular items say little, and popular items are likely whatever the history.
        weights = weights * scale[:, None] ** -0.5 * scale**0.25
        return {ITEM_COUNT: np.asarray(base[ITEM_COUNT]), HEAD_WEIGHTS: weights.astype(np.float32)}

    def score(
        self,
        shared: Tensors,
        private: Tensors,  # unused: a linear model has none
        history: History,
    ) -> NDArray[np.float32]:
        """Standardised sums of the weights of the last items, and popularity; below them, the tail by popularity."""
        head, scale = self._head(shared), self._scale(shared)
        place = np.full(self.config.number_of_items, -1)
        place[head] = np.arange(len(head))
        weights = recency(len(history), self.config.half_life)
        known = place[history.items] >= 0
        scores = weights[known] @ shared[HEAD_WEIGHTS][place[history.items[known]]]
        popularity = np.log(scale)
        popularity = (popularity - popularity[head].mean()) / max(float(popularity[head].std()), 1e-9)
        total = self.config.popularity * popularity - _TAIL_PENALTY
        total[head] += _TAIL_PENALTY + scores / max(float(scores.std()), 1e-9)
        return np.asarray(total, dtype=np.float32)

    @property
    def _size(self) -> int:
        """Items in the head."""
        return min(self.config.head, self.config.number_of_items)

    def _head(self, shared: Tensors) -> NDArray[np.int64]:
        """The most popular items, most popular first; the first of equals."""
        return np.argsort(-np.asarray(shared[ITEM_COUNT]), kind="stable")[: self._size]

    def _scale(self, shared: Tensors) -> NDArray[np.float64]:
        """Counts relative to the largest, those below the noise's deviation raised to it, shape (number_of_items,)."""
        counts = np.maximum(np.asarray(shared[ITEM_COUNT], dtype=np.float64), self.config.count_deviation)
        return np.asarray(counts / counts.max(), dtype=np.float64)

    def _pairs(
        self, places: NDArray[np.int64], scale: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Positions in the packed matrix and weights of one person's pairs; each pair of items comes once."""
        item_weights = scale[places] ** -self.config.count_power
        where, values = [np.zeros(0, np.int64)], [np.zeros(0)]
        for distance in range(1, min(self.config.window, len(places) - 1) + 1):
            where.append(positions(places[:-distance], places[distance:], self._size))
            values.append(self.config.decay**distance * item_weights[:-distance] * item_weights[distance:])
        return np.concatenate(where), np.concatenate(values)

    def _denoised(self, pairs: NDArray[np.float64]) -> NDArray[np.float64]:
        eigenvalues, vectors = np.linalg.eigh(pairs)
        positive = np.maximum(eigenvalues, 0.0)
        noise_edge = 2 * self.config.pair_deviation * self._size**0.5
        shrunk = positive / (positive + self.config.regularisation * noise_edge)
        weights: NDArray[np.float64] = (vectors * shrunk) @ vectors.T
        return weights
