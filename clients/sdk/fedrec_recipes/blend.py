"""A blend of next-item, co-occurrence, popularity and trend scores that tunes itself, in two rounds (`blend`)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat

from fedrec_protocol.tensors import DType, Tensors, TensorSpec
from fedrec_recipes.blend_scores import BlendScores
from fedrec_recipes.ease import ITEM_GRAM, Ease, EaseConfig
from fedrec_recipes.linear import ITEM_WEIGHTS
from fedrec_recipes.mixture import (
    DEFAULT_MIXTURE,
    GAIN_STEPS,
    GRID,
    STRENGTHS,
    Mixture,
    chosen_mixture,
    gains_of,
    squares_of,
)
from fedrec_recipes.packed import positions
from fedrec_recipes.recipe import History
from fedrec_recipes.slit import Slit, SlitConfig
from fedrec_recipes.statistics_recipe import StatisticsConfig, StatisticsRecipe, Totals, last
from fedrec_recipes.trend import LATEST, latest_items, trend

CO_OCCURRENCE_WEIGHTS = "co_occurrence_weights"
NEXT_ITEM_WEIGHTS = "next_item_weights"
ITEM_COUNT = "item_count"
LATEST_COUNT = "latest_count"
TREND = "trend"
MIXTURE = "mixture"
LEFT_OUT = "left_out"
GAINS = "gains"
SQUARED_GAINS = "squared_gains"

MOST_HELD_OUT = 5
"""Last interactions by which a device chooses, at most; of a short history a fifth of them, and at least one."""


class BlendConfig(StatisticsConfig):
    """Hyperparameters of `blend`."""

    chooses_mixture: bool = True
    """Whether the first round leaves out each person's last interactions, by which devices choose in the second."""
    co_occurrence_regularisation: PositiveFloat = 4.0
    """`regularisation` of `ease`: the weaker of the two that devices choose from."""
    next_item_regularisation: PositiveFloat = 200.0
    """`regularisation` of `slit`, likewise."""
    stronger: PositiveFloat = 4.0
    """The stronger regularisations as multiples of the weaker ones."""


class Blend(StatisticsRecipe[BlendConfig]):
    """`slit`, `ease` with recency, and popularity, each standardised over the items, and the items' trend, added up.

    What is chosen on validation data elsewhere is chosen from sums too. The first round fits both models without
    each person's last interactions, with either regularisation. In the second, each device ranks those interactions
    under every mixture of `GRID` with the first models, and reports the gains beside the statistics of its whole
    history: the server solves the final models with the best mixture's regularisation. Later rounds keep the mixture.
    """

    name = "blend"
    config_type = BlendConfig
    usual_rounds = 2

    @property
    def shared(self) -> tuple[TensorSpec, ...]:
        """Two models of item weights by regularisation, what is known of items, the mixture, and what the fit left out.

        Weights are float16, so that both regularisations have the bytes of one in float32. Their rounding is far
        below what tells two items apart.
        """
        items = self.config.number_of_items
        weights = (len(STRENGTHS), items, items)
        return (
            TensorSpec(name=CO_OCCURRENCE_WEIGHTS, dtype=DType.F16, shape=weights),
            TensorSpec(name=NEXT_ITEM_WEIGHTS, dtype=DType.F16, shape=weights),
            TensorSpec(name=ITEM_COUNT, shape=(items,)),
            TensorSpec(name=TREND, shape=(items,)),
            TensorSpec(name=MIXTURE, shape=DEFAULT_MIXTURE.as_tensor().shape),
            TensorSpec(name=LEFT_OUT, shape=(1,)),
        )

    @property
    def statistics(self) -> tuple[TensorSpec, ...]:
        """What `ease` and `slit` report, the latest items, and the mixtures' gains and squares, shape (len(GRID),)."""
        latest = TensorSpec(name=LATEST_COUNT, dtype=DType.I8, shape=(self.config.number_of_items,))
        gains = TensorSpec(name=GAINS, dtype=DType.I8, shape=(len(GRID),))
        squares = TensorSpec(name=SQUARED_GAINS, dtype=DType.I8, shape=(len(GRID),))
        return (*self._ease(0).statistics, *self._slit(0).statistics, latest, gains, squares)

    @property
    def largest_norm(self) -> float:
        """Of both reports and the latest items together, with every gain at its largest."""
        of_gains = 2 * GAIN_STEPS**2 * len(GRID)
        return float((self._ease(0).largest_norm ** 2 + self._slit(0).largest_norm ** 2 + LATEST + of_gains) ** 0.5)

    def add(self, totals: dict[str, NDArray[Any]], base: Tensors, history: History) -> None:
        """Add what both models and the trend are made of; gains, if the base was fitted without last interactions."""
        held_out = held_out_count(len(history))
        learnt_from = history.without_last(held_out) if self._leaves_out(base) else history
        self._ease(0).add(totals, base, learnt_from)
        self._slit(0).add(totals, base, learnt_from)
        totals[LATEST_COUNT][latest_items(last(learnt_from, self.config.maximum_history))] += 1
        if base[LEFT_OUT].any() and len(history) > 1:
            gains = gains_of(self._scores(base, history).ranks_of_last(held_out))
            totals[GAINS] += gains.astype(totals[GAINS].dtype)
            totals[SQUARED_GAINS] += squares_of(gains).astype(totals[SQUARED_GAINS].dtype)

    def solve(self, base: Tensors, totals: Totals) -> dict[str, NDArray[Any]]:
        """Both models in closed form, and the mixture: the default one, then the chosen one, which is kept.

        While devices have yet to choose, there are weights for both regularisations; then zeros for the other one.
        """
        items = np.arange(self.config.number_of_items)
        item_count = totals[ITEM_GRAM][positions(items, items, self.config.number_of_items)]
        mixture, leaves_out = _next_mixture(base, totals), self._leaves_out(base)
        weights = np.zeros((2, len(STRENGTHS), len(items), len(items)), dtype=np.float16)
        for strength in STRENGTHS if leaves_out else (mixture.strength,):
            weights[0, strength] = self._ease(strength).solve(base, totals)[ITEM_WEIGHTS]
            weights[1, strength] = self._slit(strength).solve(base, totals)[ITEM_WEIGHTS]
        return {
            CO_OCCURRENCE_WEIGHTS: weights[0],
            NEXT_ITEM_WEIGHTS: weights[1],
            ITEM_COUNT: item_count.astype(np.float32),
            TREND: trend(totals[LATEST_COUNT], item_count),
            MIXTURE: mixture.as_tensor(),
            LEFT_OUT: np.array([leaves_out], dtype=np.float32),
        }

    def score(
        self,
        shared: Tensors,
        private: Tensors,  # unused: a linear model has none
        history: History,
    ) -> NDArray[np.float32]:
        """The scores of the model's own mixture."""
        return self.mixed(shared, history, Mixture.from_tensor(shared[MIXTURE]))

    def mixed(self, shared: Tensors, history: History, mixture: Mixture) -> NDArray[np.float32]:
        """The scores of a given mixture, shape (number_of_items,); items that nobody chose come last."""
        return self._scores(shared, history).mixed(mixture)

    def item_vectors(self, shared: Tensors) -> NDArray[np.float32]:
        """The co-occurrence weights of the mixture's regularisation."""
        strength = Mixture.from_tensor(shared[MIXTURE]).strength
        return np.asarray(shared[CO_OCCURRENCE_WEIGHTS][strength], dtype=np.float32)

    def _leaves_out(self, base: Tensors) -> bool:
        """Whether the next fit leaves out last interactions, to choose by."""
        is_first = not base[MIXTURE].any()
        return is_first and self.config.chooses_mixture

    def _scores(self, shared: Tensors, history: History) -> BlendScores:
        return BlendScores(
            history=history.items,
            context_weights=self._slit(0).history_weights(len(history)),
            co_occurrence_weights=shared[CO_OCCURRENCE_WEIGHTS],
            next_item_weights=shared[NEXT_ITEM_WEIGHTS],
            item_count=shared[ITEM_COUNT],
            trend=shared[TREND],
        )

    def _ease(self, strength: int) -> Ease:
        config = self.config
        return Ease(
            EaseConfig(
                number_of_items=config.number_of_items,
                maximum_history=config.maximum_history,
                regularisation=config.co_occurrence_regularisation * config.stronger**strength,
            )
        )

    def _slit(self, strength: int) -> Slit:
        config = self.config
        return Slit(
            SlitConfig(
                number_of_items=config.number_of_items,
                maximum_history=config.maximum_history,
                regularisation=config.next_item_regularisation * config.stronger**strength,
            )
        )


def held_out_count(length: int) -> int:
    """Last interactions of a history of this length by which its device chooses."""
    return min(max(length // 5, 1), MOST_HELD_OUT, length)


def _next_mixture(base: Tensors, totals: Totals) -> Mixture:
    if base[LEFT_OUT].any():
        return chosen_mixture(totals[GAINS], totals[SQUARED_GAINS])
    return Mixture.from_tensor(base[MIXTURE]) if base[MIXTURE].any() else DEFAULT_MIXTURE
