"""Models that are functions of sums over people: exactly the central model, mostly in one round.

The device adds its history to tensors of zeros; the server adds the reports and solves. Central training
adds every history to the same tensors and calls the same `solve`, so the two models differ by nothing but
the rounding of sums: not at all where the statistics are integers.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from fedrec_protocol.manifest import AggregationRule, ReportContent, ReportFormat, TrainingPlan, Weighting
from fedrec_protocol.tensors import Tensors, TensorSpec
from fedrec_recipes.recipe import ConfigT, History, LocalResult, Recipe, RecipeConfig

Totals = Mapping[str, NDArray[np.float64]]
"""Sums of report tensors over people, by name."""


class StatisticsConfig(RecipeConfig):
    """What all statistics recipes share."""

    maximum_history: PositiveInt = 4000
    """Only the last so many interactions are reported: the bound on one person's influence."""


class StatisticsRecipe(Recipe[ConfigT], Generic[ConfigT]):
    """A recommender that is solved on the server from the sum of what people report."""

    usual_rounds = 1

    @property
    @abstractmethod
    def statistics(self) -> tuple[TensorSpec, ...]:
        """The tensors of a report."""

    @property
    @abstractmethod
    def largest_norm(self) -> float:
        """L2 norm that no report exceeds, whatever the history."""

    @abstractmethod
    def add(self, totals: dict[str, NDArray[Any]], base: Tensors, history: History) -> None:
        """Add one person's statistics to `totals`, in place.

        Args:
            totals: Tensors of `statistics` by name, of their element types or of float64.
            base: The version that the round started from.
            history: The person's interactions.
        """

    @abstractmethod
    def solve(self, base: Tensors, totals: Totals) -> dict[str, NDArray[Any]]:
        """The shared tensors that follow from the sums, of their element types.

        Args:
            base: The version that the round started from.
            totals: The sum of the reports, in the reports' units.
        """

    @property
    def report_format(self) -> ReportFormat:
        """Sums to which everybody contributes once."""
        return ReportFormat(
            content=ReportContent.STATISTICS,
            tensors=self.statistics,
            weighting=Weighting.UNIFORM,
            maximum_norm=self.largest_norm,
        )

    @property
    def aggregation(self) -> AggregationRule:
        """The sums go to this recipe's `solve`."""
        return AggregationRule(rule="solve", params={"recipe": self.choice.model_dump(mode="json")})

    def train(
        self,
        shared: Tensors,
        private: Tensors,  # unused
        history: History,
        plan: TrainingPlan,  # unused: there is nothing to iterate
        generator: np.random.Generator,  # unused: nothing is random
    ) -> LocalResult:
        """This person's statistics."""
        report = {spec.name: np.zeros(spec.shape, dtype=spec.dtype.numpy) for spec in self.statistics}
        self.add(report, shared, history)
        return LocalResult(report=report, examples=len(history))

    def train_central(
        self,
        histories: Sequence[History],
        generator: np.random.Generator,
        *,
        base: Tensors | None = None,
        rounds: int | None = None,
    ) -> dict[str, NDArray[Any]]:
        """The same model with everybody's data in one place, in the usual rounds unless given.

        `generator` serves the initialisers only.
        """
        model = self.starting_parameters(base, generator)
        for _ in range(rounds or self.usual_rounds):
            totals = {spec.name: np.zeros(spec.shape) for spec in self.statistics}
            for history in histories:
                self.add(totals, model, history)
            model = self.solve(model, totals)
        return model


def last(history: History, maximum: int) -> NDArray[np.int64]:
    """The items of the last `maximum` interactions, oldest first."""
    return history.items[max(len(history.items) - maximum, 0) :]


def without_repeats(items: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each item at its first place only."""
    _, first = np.unique(items, return_index=True)
    return items[np.sort(first)]
