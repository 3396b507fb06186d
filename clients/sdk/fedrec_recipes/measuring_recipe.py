"""Tasks that learn nothing: people's counts say how good a version is, or how people are."""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.manifest import AggregationRule
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.recipe import ConfigT
from fedrec_recipes.statistics_recipe import StatisticsRecipe, Totals


@dataclass(frozen=True)
class Measured:
    """What sums of reports say of the version that they were made with."""

    evaluated: int
    """Evaluations behind the metrics."""
    metrics: dict[str, float]
    """Values by name."""


class MeasuringRecipe(StatisticsRecipe[ConfigT]):
    """A statistics recipe whose sums are read instead of solved; the parameters stay as they are."""

    learns = False

    @abstractmethod
    def measure(self, totals: Totals) -> Measured:
        """The metrics that follow from the sums.

        Args:
            totals: The sum of the reports, in the reports' units; with noise, if the task adds any.
        """

    @property
    def aggregation(self) -> AggregationRule:
        """The sums go to this recipe's `measure`."""
        return AggregationRule(rule="measure", params={"recipe": self.choice.model_dump(mode="json")})

    def solve(self, base: Tensors, totals: Totals) -> dict[str, NDArray[np.float32]]:  # the sums change nothing
        """The base."""
        return {name: np.asarray(value) for name, value in base.items()}
