"""A blend of next-item, co-occurrence and popularity scores that tunes itself, in two rounds (`blend`)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat

from fedrec_protocol.tensors import DType, Tensors, TensorSpec
from fedrec_recipes.ease import ITEM_GRAM, Ease, EaseConfig
from fedrec_recipes.linear import ITEM_WEIGHTS, recency
from fedrec_recipes.mixture import (
    DEFAULT_MIXTURE,
    GAIN_STEPS,
    GRID,
    HALF_LIVES,
    Mixture,
    chosen_mixture,
    gains_of,
    squares_of,
)
from fedrec_recipes.packed import positions
from fedrec_recipes.recipe import History
from fedrec_recipes.slit import Slit, SlitConfig
from fedrec_recipes.statistics_recipe import StatisticsConfig, StatisticsRecipe, Totals

CO_OCCURRENCE_WEIGHTS = "co_occurrence_weights"
NEXT_ITEM_WEIGHTS = "next_item_weights"
ITEM_COUNT = "item_count"
MIXTURE = "mixture"
LEFT_OUT = "left_out"
GAINS = "gains"
SQUARED_GAINS = "squared_gains"


class BlendConfig(StatisticsConfig):
    """Hyperparameters of `blend`."""

    chooses_mixture: bool = True
    """Whether the first round leaves out each person's last interaction, by which devices choose in the second."""
    co_occurrence_regularisation: PositiveFloat = 4.0
    """`regularisation` of `ease`."""
    next_item_regularisation: PositiveFloat = 4.0
    """`regularisation` of `slit`."""


class Blend(StatisticsRecipe[BlendConfig]):
    """`slit`, `ease` with recency, and popularity, each standardised over the items, added up.

    What is chosen on validation data elsewhere is chosen from sums too. The first round fits the model without
    each person's last interaction. In the second, each device ranks that interaction under every mixture of
    `GRID` with the first model, and reports the gains beside the statistics of its whole history: the server
    solves the final model and gives it the best mixture. Later rounds keep the mixture.
    """

    name = "blend"
    config_type = BlendConfig
    usual_rounds = 2

    @property
    def shared(self) -> tuple[TensorSpec, ...]:
        """Two matrices of item weights, the items' counts, the mixture, and what the fit left out."""
        items = self.config.number_of_items
        return (
            TensorSpec(name=CO_OCCURRENCE_WEIGHTS, shape=(items, items)),
            TensorSpec(name=NEXT_ITEM_WEIGHTS, shape=(items, items)),
            TensorSpec(name=ITEM_COUNT, shape=(items,)),
            TensorSpec(name=MIXTURE, shape=(4,)),
            TensorSpec(name=LEFT_OUT, shape=(1,)),
        )

    @property
    def statistics(self) -> tuple[TensorSpec, ...]:
        """What `ease` and `slit` report, and the gains of the mixtures with their squares, shape (len(GRID),)."""
        gains = TensorSpec(name=GAINS, dtype=DType.I8, shape=(len(GRID),))
        squares = TensorSpec(name=SQUARED_GAINS, dtype=DType.I8, shape=(len(GRID),))
        return (*self._ease.statistics, *self._slit.statistics, gains, squares)

    @property
    def largest_norm(self) -> float:
        """Of both reports together, with every gain at its largest."""
        of_gains = 2 * GAIN_STEPS**2 * len(GRID)
        return float((self._ease.largest_norm**2 + self._slit.largest_norm**2 + of_gains) ** 0.5)

    def add(self, totals: dict[str, NDArray[Any]], base: Tensors, history: History) -> None:
        """Add the statistics of both models; gains, if the base was fitted without the last interaction."""
        learnt_from = history.without_last(self._leaves_out(base))
        self._ease.add(totals, base, learnt_from)
        self._slit.add(totals, base, learnt_from)
        if base[LEFT_OUT].any() and len(history) > 1:
            gains = gains_of(self._ranks(base, history.without_last(1), int(history.items[-1])))
            totals[GAINS] += gains.astype(totals[GAINS].dtype)
            totals[SQUARED_GAINS] += squares_of(gains).astype(totals[SQUARED_GAINS].dtype)

    def solve(self, base: Tensors, totals: Totals) -> dict[str, NDArray[np.float32]]:
        """Both models in closed form, and the mixture: the default one, then the chosen one, which is kept."""
        items = np.arange(self.config.number_of_items)
        diagonal = positions(items, items, self.config.number_of_items)
        return {
            CO_OCCURRENCE_WEIGHTS: self._ease.solve(base, totals)[ITEM_WEIGHTS],
            NEXT_ITEM_WEIGHTS: self._slit.solve(base, totals)[ITEM_WEIGHTS],
            ITEM_COUNT: totals[ITEM_GRAM][diagonal].astype(np.float32),
            MIXTURE: _next_mixture(base, totals),
            LEFT_OUT: np.array([self._leaves_out(base)], dtype=np.float32),
        }

    def _leaves_out(self, base: Tensors) -> int:
        """Last interactions that the next fit does not learn from."""
        is_first = not base[MIXTURE].any()
        return int(is_first and self.config.chooses_mixture)

    def score(
        self,
        shared: Tensors,
        private: Tensors,  # unused: a linear model has none
        history: History,
    ) -> NDArray[np.float32]:
        """The scores of the model's own mixture."""
        return self.mixed(shared, history, Mixture(*(float(value) for value in shared[MIXTURE])))

    def mixed(self, shared: Tensors, history: History, mixture: Mixture) -> NDArray[np.float32]:
        """The scores of a given mixture, shape (number_of_items,); items that nobody chose come last.

        A linear model gives them zero, which is more than it gives most items that somebody chose. Where somebody's
        last interaction is left out, they are the items that were left out: rewarding that would choose a mixture
        for knowing the answer.
        """
        scores = np.float32(mixture.next_item) * self.next_item_scores(shared, history)
        scores += np.float32(mixture.co_occurrence) * self.co_occurrence_scores(shared, history, mixture.half_life)
        scores += np.float32(mixture.popularity) * popularity_scores(shared)
        scores[shared[ITEM_COUNT] == 0] = scores.min()
        return scores

    def co_occurrence_scores(self, shared: Tensors, history: History, half_life: float) -> NDArray[np.float32]:
        """Standardised scores of `ease` for a history with this recency; zeros if there is no history."""
        weights = recency(len(history), half_life or None)
        return standardised(weights @ shared[CO_OCCURRENCE_WEIGHTS][history.items])

    def next_item_scores(self, shared: Tensors, history: History) -> NDArray[np.float32]:
        """Standardised scores of `slit`; zeros if there is no history."""
        return standardised(self._slit.score({ITEM_WEIGHTS: shared[NEXT_ITEM_WEIGHTS]}, {}, history))

    def _ranks(self, base: Tensors, known: History, target: int) -> NDArray[np.int64]:
        """Rank of the target under each mixture of the grid, ties pessimistic; every component is computed once."""
        components = [self.next_item_scores(base, known), popularity_scores(base)]
        components += [self.co_occurrence_scores(base, known, value) for value in HALF_LIVES]
        scores = _COEFFICIENTS @ np.stack(components)
        scores[:, base[ITEM_COUNT] == 0] = scores.min(axis=1, keepdims=True)
        is_ahead = ~(scores < scores[:, [target]])
        is_ahead[:, known.items] = False
        is_ahead[:, target] = False
        return np.asarray(np.count_nonzero(is_ahead, axis=1) + 1, dtype=np.int64)

    @property
    def _ease(self) -> Ease:
        config = self.config
        return Ease(
            EaseConfig(
                number_of_items=config.number_of_items,
                maximum_history=config.maximum_history,
                regularisation=config.co_occurrence_regularisation,
            )
        )

    @property
    def _slit(self) -> Slit:
        config = self.config
        return Slit(
            SlitConfig(
                number_of_items=config.number_of_items,
                maximum_history=config.maximum_history,
                regularisation=config.next_item_regularisation,
            )
        )


def _next_mixture(base: Tensors, totals: Totals) -> NDArray[np.float32]:
    if base[LEFT_OUT].any():
        return chosen_mixture(totals[GAINS], totals[SQUARED_GAINS]).as_tensor()
    kept = np.asarray(base[MIXTURE], dtype=np.float32)
    return kept if kept.any() else DEFAULT_MIXTURE.as_tensor()


def _coefficients(mixture: Mixture) -> list[float]:
    """Weights of the next-item, the popularity and the co-occurrence scores with each half-life."""
    together = [mixture.co_occurrence * (mixture.half_life == value) for value in HALF_LIVES]
    return [mixture.next_item, mixture.popularity, *together]


_COEFFICIENTS = np.array([_coefficients(mixture) for mixture in GRID], dtype=np.float32)


def popularity_scores(shared: Tensors) -> NDArray[np.float32]:
    """Standardised logarithms of the items' counts."""
    return standardised(np.log1p(shared[ITEM_COUNT]))


def standardised(scores: NDArray[np.floating]) -> NDArray[np.float32]:
    """Mean 0 and standard deviation 1 over the items; constant scores become zeros."""
    centred = scores - scores.mean()
    deviation = float(centred.std())
    return np.asarray(centred / deviation if deviation > 0 else centred, dtype=np.float32)
