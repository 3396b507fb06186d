"""Federated choice of the mixture of a blend (`blend-choice`)."""

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.tensors import DType, Tensors, TensorSpec
from fedrec_recipes.blend import MIXTURE, Blend, BlendConfig, Mixture, popularity_scores
from fedrec_recipes.metrics import metric_value, rank_of
from fedrec_recipes.recipe import History
from fedrec_recipes.statistics_recipe import StatisticsRecipe, Totals

GAINS = "gains"

GRID = tuple(
    Mixture(*values)
    for values in itertools.product((3.0, 10.0, 40.0, 1e6), (0.3, 0.6, 1.0, 1.7, 3.0), (0.0, 1.0), (0.0, 0.1, 0.3))
)
"""The mixtures that devices try."""

_METRIC = "ndcg@10"
_STEPS = 100
"""A gain is reported in steps of 1/100, as an int8."""


class BlendChoice(StatisticsRecipe[BlendConfig]):
    """One round in which devices choose the mixture of a `blend`, the base version of the task.

    What is chosen on validation data elsewhere is chosen from sums too: each device ranks its own last item
    under every mixture of `GRID`, and reports the gains. The blend must have been fitted with `leave_out` of
    at least 1, or the answer is known to the model.
    """

    name = "blend-choice"
    config_type = BlendConfig

    @property
    def shared(self) -> tuple[TensorSpec, ...]:
        """The tensors of the blend."""
        return self._blend.shared

    @property
    def statistics(self) -> tuple[TensorSpec, ...]:
        """Gains of the mixtures, shape (len(GRID),)."""
        return (TensorSpec(name=GAINS, dtype=DType.I8, shape=(len(GRID),)),)

    @property
    def largest_norm(self) -> float:
        """Every gain at its largest."""
        return float(_STEPS * len(GRID) ** 0.5)

    def add(self, totals: dict[str, NDArray[Any]], base: Tensors, history: History) -> None:
        """Rank the last item of a history under every mixture; nothing to ask of fewer than two items."""
        if len(history) < 2:
            return
        known, target = history.without_last(1), int(history.items[-1])
        ranks = [rank_of(scores, target, known.items) for scores in self._scores(base, known)]
        gains = [round(_STEPS * metric_value(_METRIC, rank)) for rank in ranks]
        totals[GAINS] += np.array(gains, dtype=totals[GAINS].dtype)

    def solve(self, base: Tensors, totals: Totals) -> dict[str, NDArray[np.float32]]:
        """The blend with the mixture of the largest gain; the first of equals."""
        best = GRID[int(np.argmax(totals[GAINS]))]
        return {**{name: np.asarray(value) for name, value in base.items()}, MIXTURE: best.as_tensor()}

    def score(self, shared: Tensors, private: Tensors, history: History) -> NDArray[np.float32]:
        """The blend's scores."""
        return self._blend.score(shared, private, history)

    def _scores(self, base: Tensors, known: History) -> list[NDArray[np.float32]]:
        """Scores under each mixture of the grid, in order; every component is computed once."""
        following, popular = self._blend.next_item_scores(base, known), popularity_scores(base)
        half_lives = {mixture.half_life for mixture in GRID}
        together = {value: self._blend.co_occurrence_scores(base, known, value) for value in half_lives}
        return [
            mixture.co_occurrence * together[mixture.half_life]
            + mixture.next_item * following
            + mixture.popularity * popular
            for mixture in GRID
        ]

    @property
    def _blend(self) -> Blend:
        return Blend(self.config)
