"""A blend of next-item, co-occurrence, popularity and trend scores that tunes itself, in two rounds (`blend`)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt

from fedrec_protocol.tensors import DType, Tensors, TensorSpec
from fedrec_recipes.blend_scores import BlendScores
from fedrec_recipes.ease import ITEM_GRAM, Ease, EaseConfig
from fedrec_recipes.half_spaces import (
    HYPERPLANES,
    ITEM_POINTS,
    add_depths,
    depths_of,
    has_points,
    largest_norm_of_depths,
    points_of,
    reported_depths,
    shared_half_spaces,
    solve_with_depths,
)
from fedrec_recipes.linear import ITEM_WEIGHTS
from fedrec_recipes.mixture import DEFAULT, DEFAULT_MIXTURE, GRID, STRENGTHS, Mixture
from fedrec_recipes.packed import positions
from fedrec_recipes.recipe import History
from fedrec_recipes.slit import Slit, SlitConfig
from fedrec_recipes.statistics_recipe import StatisticsConfig, StatisticsRecipe, Totals, last, without_repeats
from fedrec_recipes.surest_gain import gains_of, largest_norm_of_gains, squares_of, surest
from fedrec_recipes.trend import LATEST, latest_items, trend

CO_OCCURRENCE_WEIGHTS = "co_occurrence_weights"
NEXT_ITEM_WEIGHTS = "next_item_weights"
DEPTH_WEIGHTS = "depth_weights"
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
    half_spaces: PositiveInt = 512
    """Random hyperplanes; how deep a history is beyond each is a column of the next-item regression."""
    depth_regularisation: PositiveFloat = 30_000.0
    """λ of the depths, whichever of the two regularisations devices choose."""


class Blend(StatisticsRecipe[BlendConfig]):
    """`slit`, `ease` with recency, and popularity, each standardised over the items, and the items' trend, added up.

    What is chosen on validation data elsewhere is chosen from sums too. The first round fits both models without
    each person's last interactions, with either regularisation. In the second, each device ranks those interactions
    under every mixture of `GRID` with the first models, and reports the gains beside the statistics of its whole
    history: the server solves the final models with the best mixture's regularisation. Later rounds keep the mixture.

    The first next-item model is linear in the items. It gives them points; from the second round on, how deep the
    history is in half-spaces among these points is in the regression too (`fedrec_recipes.half_spaces`).
    """

    name = "blend"
    config_type = BlendConfig
    usual_rounds = 2

    @property
    def shared(self) -> tuple[TensorSpec, ...]:
        """Two models of item weights by regularisation, the depths' weights, what is known of items, and the mixture.

        Weights are float16, so that both regularisations have the bytes of one in float32. Their rounding is far
        below what tells two items apart.
        """
        items = self.config.number_of_items
        weights = (len(STRENGTHS), items, items)
        return (
            TensorSpec(name=CO_OCCURRENCE_WEIGHTS, dtype=DType.F16, shape=weights),
            TensorSpec(name=NEXT_ITEM_WEIGHTS, dtype=DType.F16, shape=weights),
            TensorSpec(name=DEPTH_WEIGHTS, dtype=DType.F16, shape=(self.config.half_spaces, items)),
            *shared_half_spaces(items, self.config.half_spaces),
            TensorSpec(name=ITEM_COUNT, shape=(items,)),
            TensorSpec(name=TREND, shape=(items,)),
            TensorSpec(name=MIXTURE, shape=DEFAULT_MIXTURE.as_tensor().shape),
            TensorSpec(name=LEFT_OUT, shape=(1,)),
        )

    @property
    def statistics(self) -> tuple[TensorSpec, ...]:
        """What `ease` and `slit` report, depths, the latest items, and the mixtures' gains and squares."""
        latest = TensorSpec(name=LATEST_COUNT, dtype=DType.I8, shape=(self.config.number_of_items,))
        gains = TensorSpec(name=GAINS, dtype=DType.I8, shape=(len(GRID),))
        squares = TensorSpec(name=SQUARED_GAINS, dtype=DType.I8, shape=(len(GRID),))
        depths = reported_depths(self.config.number_of_items, self.config.half_spaces)
        return (*self._ease(0).statistics, *self._slit(0).statistics, *depths, latest, gains, squares)

    @property
    def largest_norm(self) -> float:
        """Of both reports, the depths and the latest items together, with every gain at its largest."""
        slit = self._slit(0)
        longest = min(self.config.maximum_history, self.config.number_of_items)
        of_depths = largest_norm_of_depths(self.config.half_spaces, slit.context_weights, longest)
        of_gains = largest_norm_of_gains(len(GRID))
        squares = (self._ease(0).largest_norm ** 2, slit.largest_norm**2, of_depths**2, LATEST, of_gains**2)
        return float(sum(squares) ** 0.5)

    def add(self, totals: dict[str, NDArray[Any]], base: Tensors, history: History) -> None:
        """Add what both models and the trend are made of; gains, if the base was fitted without last interactions.

        Depths are added once there are points.
        """
        held_out = held_out_count(len(history))
        learnt_from = history.without_last(held_out) if self._leaves_out(base) else history
        self._ease(0).add(totals, base, learnt_from)
        self._slit(0).add(totals, base, learnt_from)
        recent = last(learnt_from, self.config.maximum_history)
        totals[LATEST_COUNT][latest_items(recent)] += 1
        if has_points(base):
            add_depths(totals, base, without_repeats(recent), self._slit(0).context_weights)
        if base[LEFT_OUT].any() and len(history) > 1:
            gains = gains_of(self._scores(base, history).ranks_of_last(held_out), DEFAULT)
            totals[GAINS] += gains.astype(totals[GAINS].dtype)
            totals[SQUARED_GAINS] += squares_of(gains).astype(totals[SQUARED_GAINS].dtype)

    def solve(self, base: Tensors, totals: Totals) -> dict[str, NDArray[Any]]:
        """Both models in closed form, and the mixture: the default one, then the chosen one, which is kept.

        While devices have yet to choose, there are weights for both regularisations; then zeros for the other one.
        """
        items = np.arange(self.config.number_of_items)
        item_count = totals[ITEM_GRAM][positions(items, items, self.config.number_of_items)]
        mixture, leaves_out = _next_mixture(base, totals), self._leaves_out(base)
        co_occurrence = np.zeros((len(STRENGTHS), len(items), len(items)), dtype=np.float16)
        next_item, of_depths = np.zeros_like(co_occurrence), np.zeros((self.config.half_spaces, len(items)), np.float16)
        for strength in STRENGTHS if leaves_out else (mixture.strength,):
            co_occurrence[strength] = self._ease(strength).solve(base, totals)[ITEM_WEIGHTS]
            next_item[strength], of_depths[:] = self._next_item(strength, base, totals)
        return {
            CO_OCCURRENCE_WEIGHTS: co_occurrence,
            NEXT_ITEM_WEIGHTS: next_item,
            DEPTH_WEIGHTS: of_depths,
            ITEM_POINTS: base[ITEM_POINTS] if has_points(base) else points_of(next_item[mixture.strength]),
            HYPERPLANES: base[HYPERPLANES],
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

    def _next_item(
        self, strength: int, base: Tensors, totals: Totals
    ) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Weights of the items, and of the depths: zeros while there are no points."""
        slit = self._slit(strength)
        if not has_points(base):
            return slit.solve(base, totals)[ITEM_WEIGHTS], np.zeros((self.config.half_spaces, 1))
        return solve_with_depths(*slit.normal_equations(totals), totals, self.config.depth_regularisation)

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
            of_depths=self._score_of_depths(shared, history),
            item_count=shared[ITEM_COUNT],
            trend=shared[TREND],
        )

    def _score_of_depths(self, shared: Tensors, history: History) -> NDArray[np.float32]:
        """What the history's depths add to the next-item scores; nothing if it is empty."""
        if not len(history) or not shared[DEPTH_WEIGHTS].any():
            return np.zeros(self.config.number_of_items, dtype=np.float32)
        depths = depths_of(shared, history.items)[-1]
        deep = np.flatnonzero(depths)
        return np.asarray(depths[deep] @ shared[DEPTH_WEIGHTS][deep].astype(np.float32))

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
        return GRID[surest(totals[GAINS], totals[SQUARED_GAINS], DEFAULT)]
    return Mixture.from_tensor(base[MIXTURE]) if base[MIXTURE].any() else DEFAULT_MIXTURE
