"""A blend of next-item, co-occurrence and popularity scores in one round (`blend`)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveFloat

from fedrec_protocol.tensors import Tensors, TensorSpec
from fedrec_recipes.ease import Ease, EaseConfig
from fedrec_recipes.linear import ITEM_WEIGHTS, recency
from fedrec_recipes.packed import positions
from fedrec_recipes.recipe import History
from fedrec_recipes.slit import Slit, SlitConfig
from fedrec_recipes.statistics_recipe import StatisticsConfig, StatisticsRecipe, Totals

CO_OCCURRENCE_WEIGHTS = "co_occurrence_weights"
NEXT_ITEM_WEIGHTS = "next_item_weights"
ITEM_COUNT = "item_count"
MIXTURE = "mixture"


@dataclass(frozen=True)
class Mixture:
    """How the scores are added up."""

    half_life: float
    """Recency of the history that the co-occurrence scores see."""
    co_occurrence: float
    """Weight of the standardised co-occurrence scores."""
    next_item: float
    """Weight of the standardised next-item scores."""
    popularity: float
    """Weight of the standardised logarithms of the items' counts."""

    def as_tensor(self) -> NDArray[np.float32]:
        """The four numbers, shape (4,)."""
        return np.array([self.half_life, self.co_occurrence, self.next_item, self.popularity], dtype=np.float32)


DEFAULT_MIXTURE = Mixture(half_life=10.0, co_occurrence=1.0, next_item=1.0, popularity=0.0)
"""Within a few per cent of the best on all data sets tried; `blend-choice` finds a catalogue's own."""


class BlendConfig(StatisticsConfig):
    """Hyperparameters of `blend`."""

    leave_out: NonNegativeInt = 0
    """Last interactions that are not learnt from: 1 before a round of `blend-choice`, then 0 to refit."""
    co_occurrence_regularisation: PositiveFloat = 4.0
    """`regularisation` of `ease`."""
    next_item_regularisation: PositiveFloat = 4.0
    """`regularisation` of `slit`."""


class Blend(StatisticsRecipe[BlendConfig]):
    """`slit`, `ease` with recency, and popularity, each standardised over the items, added up.

    A mixture in the base version is kept, so that a model can be fitted, its mixture chosen (`blend-choice`)
    and then refitted, each in one round.
    """

    name = "blend"
    config_type = BlendConfig

    @property
    def shared(self) -> tuple[TensorSpec, ...]:
        """Two matrices of item weights, the items' counts, and the mixture."""
        items = self.config.number_of_items
        return (
            TensorSpec(name=CO_OCCURRENCE_WEIGHTS, shape=(items, items)),
            TensorSpec(name=NEXT_ITEM_WEIGHTS, shape=(items, items)),
            TensorSpec(name=ITEM_COUNT, shape=(items,)),
            TensorSpec(name=MIXTURE, shape=(4,)),
        )

    @property
    def statistics(self) -> tuple[TensorSpec, ...]:
        """What `ease` and `slit` report."""
        return (*self._ease.statistics, *self._slit.statistics)

    @property
    def largest_norm(self) -> float:
        """Of both reports together."""
        return float((self._ease.largest_norm**2 + self._slit.largest_norm**2) ** 0.5)

    def add(self, totals: dict[str, NDArray[Any]], base: Tensors, history: History) -> None:
        """Add the statistics of both models."""
        known = history.without_last(self.config.leave_out)
        self._ease.add(totals, base, known)
        self._slit.add(totals, base, known)

    def solve(self, base: Tensors, totals: Totals) -> dict[str, NDArray[np.float32]]:
        """Both models in closed form; the mixture of the base, or the default one."""
        items = np.arange(self.config.number_of_items)
        diagonal = positions(items, items, self.config.number_of_items)
        mixture = np.asarray(base[MIXTURE], dtype=np.float32)
        return {
            CO_OCCURRENCE_WEIGHTS: self._ease.solve(base, totals)[ITEM_WEIGHTS],
            NEXT_ITEM_WEIGHTS: self._slit.solve(base, totals)[ITEM_WEIGHTS],
            ITEM_COUNT: totals[self._ease.statistics[0].name][diagonal].astype(np.float32),
            MIXTURE: mixture if mixture.any() else DEFAULT_MIXTURE.as_tensor(),
        }

    def score(
        self,
        shared: Tensors,
        private: Tensors,  # unused: a linear model has none
        history: History,
    ) -> NDArray[np.float32]:
        """The scores of the model's own mixture."""
        return self.mixed(shared, history, Mixture(*(float(value) for value in shared[MIXTURE])))

    def mixed(self, shared: Tensors, history: History, mixture: Mixture) -> NDArray[np.float32]:
        """The scores of a given mixture, shape (number_of_items,)."""
        scores = np.float32(mixture.next_item) * self.next_item_scores(shared, history)
        scores += np.float32(mixture.co_occurrence) * self.co_occurrence_scores(shared, history, mixture.half_life)
        scores += np.float32(mixture.popularity) * popularity_scores(shared)
        return scores

    def co_occurrence_scores(self, shared: Tensors, history: History, half_life: float) -> NDArray[np.float32]:
        """Standardised scores of `ease` for a history with this recency; zeros if there is no history."""
        weights = recency(len(history), half_life or None)
        return standardised(weights @ shared[CO_OCCURRENCE_WEIGHTS][history.items])

    def next_item_scores(self, shared: Tensors, history: History) -> NDArray[np.float32]:
        """Standardised scores of `slit`; zeros if there is no history."""
        return standardised(self._slit.score({ITEM_WEIGHTS: shared[NEXT_ITEM_WEIGHTS]}, {}, history))

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


def popularity_scores(shared: Tensors) -> NDArray[np.float32]:
    """Standardised logarithms of the items' counts."""
    return standardised(np.log1p(shared[ITEM_COUNT]))


def standardised(scores: NDArray[np.floating]) -> NDArray[np.float32]:
    """Mean 0 and standard deviation 1 over the items; constant scores become zeros."""
    centred = scores - scores.mean()
    deviation = float(centred.std())
    return np.asarray(centred / deviation if deviation > 0 else centred, dtype=np.float32)
