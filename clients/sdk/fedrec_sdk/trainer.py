"""The seam between contributing and whatever is trained: a recipe, or the app's own module."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.manifest import ReportContent, TrainingPlan
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.recipe import History, LocalResult, Recipe
from fedrec_sdk.evaluation import Evaluation, evaluate_held_out


@runtime_checkable
class Trainer(Protocol):
    """Local training and evaluation, as a participant needs them. Tensors are numpy arrays by name."""

    @property
    def content(self) -> ReportContent:
        """What the tensors of its reports are."""
        ...

    def count_examples(self, history: History) -> int:
        """How many examples there are to train on; with none, no work is asked for."""
        ...

    def train(
        self, shared: Tensors, private: Tensors, history: History, plan: TrainingPlan, generator: np.random.Generator
    ) -> LocalResult:
        """Train from the base version.

        Args:
            shared: The base version's tensors; read-only.
            private: This person's private tensors; empty the first time.
            history: All interactions in the local store.
            plan: Epochs, batch size, learning rate, options.
            generator: All randomness comes from here, so that a run can be repeated bit for bit.
        """
        ...

    def evaluate(self, shared: Tensors, private: Tensors, history: History, metrics: tuple[str, ...]) -> Evaluation:
        """Measure the given parameters on local data that training does not use.

        Raises:
            UnknownMetric: a metric that it cannot measure.
        """
        ...


@runtime_checkable
class ItemScorer(Protocol):
    """A trainer that can also recommend."""

    def score(self, shared: Tensors, private: Tensors, history: History) -> NDArray[np.float32]:
        """Scores of all items, shape (number_of_items,); larger is better."""
        ...


class RecipeTrainer:
    """Trains a recipe on the interactions in the local store, without the last `holdout` of them.

    Items that the model does not have (the app's catalogue may be newer) are left out, and so are repeats unless the
    recipe keeps what was seen: what is measured is then whether a person's next new item is found.

    Args:
        recipe: What is trained.
        holdout: How many of the last interactions are not trained on, but measured.
        ruled_out: Items that may not be recommended, ascending: training has them, metrics do not rank them.
    """

    def __init__(self, recipe: Recipe[Any], *, holdout: int = 1, ruled_out: NDArray[np.int64] | None = None) -> None:
        self.recipe = recipe
        self.holdout = holdout
        self.ruled_out = ruled_out

    @property
    def content(self) -> ReportContent:
        """What the recipe reports."""
        return self.recipe.report_format.content

    def count_examples(self, history: History) -> int:
        """Interactions to train on."""
        return len(self.training_history(history))

    def train(
        self, shared: Tensors, private: Tensors, history: History, plan: TrainingPlan, generator: np.random.Generator
    ) -> LocalResult:
        """One local training of the recipe."""
        return self.recipe.train(shared, private, self.training_history(history), plan, generator)

    def evaluate(self, shared: Tensors, private: Tensors, history: History, metrics: tuple[str, ...]) -> Evaluation:
        """Full ranking of the held-out interactions."""
        return evaluate_held_out(
            lambda context: self.recipe.score(shared, private, context),
            self._known(history),
            self.holdout,
            metrics,
            seen=self.recipe.excluded,
            ruled_out=self.ruled_out,
        )

    def score(self, shared: Tensors, private: Tensors, history: History) -> NDArray[np.float32]:
        """Scores from the whole history, the held-out interactions included."""
        return self.recipe.score(shared, private, self._known(history))

    def training_history(self, history: History) -> History:
        """What the recipe's training gets to see."""
        return self._known(history).without_last(self.holdout if self.recipe.learns else 0)

    def _known(self, history: History) -> History:
        known = history.items < self.recipe.config.number_of_items
        return self.recipe.known(history if known.all() else history.at(known))
