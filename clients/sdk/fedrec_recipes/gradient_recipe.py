"""Recommenders that learn by gradients: what a person reports is the descent of their own loss."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.manifest import AggregationRule, ReportFormat, TrainingPlan, Weighting
from fedrec_protocol.tensors import Tensors, TensorSpec
from fedrec_recipes.adam import Adam
from fedrec_recipes.people_count import CountingConfig, count_person, people_count
from fedrec_recipes.recipe import History, LocalResult, Recipe

Gradient = dict[str, NDArray[np.float32]]
CountingConfigT = TypeVar("CountingConfigT", bound=CountingConfig)


@dataclass(frozen=True)
class LocalGradient:
    """The gradient of one person's loss."""

    shared: Gradient
    """By the trained tensors, of their shapes."""
    private: Tensors = field(default_factory=dict)
    """The private tensors at which it was taken, solved from the history."""


class GradientRecipe(Recipe[CountingConfigT], Generic[CountingConfigT]):
    """A recommender whose objective is the mean over people of a loss that each device can differentiate.

    A device takes `epochs` plain steps of `learning_rate` down its own loss and reports where it came to; the server
    treats the mean of the reports as a gradient and gives it to Adam (FedAdam, Reddi et al. 2021,
    https://arxiv.org/abs/2003.00295). Adam is needed because hardly anybody's loss depends on a rare item: in a plain
    mean its row would not move. Where `server_tau` is far below all gradients, it also makes the length of the local
    step unimportant when there is one.

    Private tensors are solved from the history for every base version, never kept from round to round (as in FedRecon,
    Singhal et al. 2021, https://arxiv.org/abs/2102.03448): who takes part rarely, or never did, is served alike.
    """

    usual_rounds = 60
    server_learning_rate: ClassVar[float] = 0.02
    """Step of the server's Adam."""
    server_tau: ClassVar[float] = 1e-7
    """What that Adam adds to the root of the second moment. Coordinates whose gradients are smaller, such as those of
    rare items, move in proportion to them. Batches of people do the same to central training: there a rare item's
    gradient is mostly zero and sometimes large, and Adam takes such coordinates in short steps."""
    central_epochs: ClassVar[int] = 40
    """Passes over all people in which central training does best."""
    central_learning_rate: ClassVar[float] = 3e-3
    """Step of its Adam."""
    server_averages: ClassVar[tuple[str, ...]] = ()
    """Shared tensors that are means over people, not parameters: the server takes them as they are."""

    @property
    @abstractmethod
    def learned(self) -> tuple[TensorSpec, ...]:
        """The tensors that are trained or averaged."""

    @property
    def shared(self) -> tuple[TensorSpec, ...]:
        """What is learned, and how many people are behind each item where that is counted."""
        return (*self.learned, *people_count(self.config))

    @abstractmethod
    def gradient(self, parameters: Tensors, history: History, generator: np.random.Generator) -> LocalGradient:
        """The gradient of one person's loss.

        Args:
            parameters: The shared tensors.
            history: The person's interactions, at least one.
            generator: Randomness, of negatives or of dropout.
        """

    def mean_gradient(self, parameters: Tensors, people: Sequence[History], generator: np.random.Generator) -> Gradient:
        """The gradient of the mean loss of some people; a recipe may know a faster way than one by one."""
        return mean(self.gradient(parameters, history, generator).shared for history in people)

    def averages(self, base: Tensors, history: History) -> Gradient:
        """What one person reports of the tensors in `server_averages`: nothing, by default."""
        return {}

    def _means(self, base: Tensors, history: History) -> Gradient:
        """What one person reports of all tensors that are means over people."""
        return {**self.averages(base, history), **count_person(self.config, base, history)}

    @property
    def report_format(self) -> ReportFormat:
        """A delta per person; everybody counts the same, as in the objective."""
        return ReportFormat(weighting=Weighting.UNIFORM, maximum_norm=100.0)

    @property
    def aggregation(self) -> AggregationRule:
        """Adam on the server."""
        averaged = [*self.server_averages, *(spec.name for spec in people_count(self.config))]
        params = {"learning_rate": self.server_learning_rate, "tau": self.server_tau, "averaged": averaged}
        return AggregationRule(rule="fedadam", params=params)

    @property
    def training(self) -> TrainingPlan:
        """One local step: the server's Adam expects the gradient itself."""
        return TrainingPlan(learning_rate=1.0)

    def train(
        self,
        shared: Tensors,
        private: Tensors,  # unused: solved anew for every version
        history: History,
        plan: TrainingPlan,
        generator: np.random.Generator,
    ) -> LocalResult:
        """`plan.epochs` steps of gradient descent; the report is a delta of the shared tensors."""
        # The steps are added up on their own: what is left of them after adding them to the parameters is rounded.
        moved: Gradient = {}
        gradient = LocalGradient({})
        for _ in range(plan.epochs):
            local = {**shared, **{name: shared[name] + by for name, by in moved.items()}}
            gradient = self.gradient(local, history, generator)
            for name, value in gradient.shared.items():
                step = np.float32(-plan.learning_rate) * value
                moved[name] = moved[name] + step if name in moved else step
        found = {**moved, **self._means(shared, history)}
        report = {
            spec.name: found[spec.name] if spec.name in found else np.zeros(spec.shape, dtype=np.float32)
            for spec in self.shared
        }
        return LocalResult(report=report, examples=len(history), private=gradient.private)

    def train_central(
        self,
        histories: Sequence[History],
        generator: np.random.Generator,
        *,
        base: Tensors | None = None,
        epochs: int | None = None,
        batch_size: int = 32,
        learning_rate: float | None = None,
    ) -> dict[str, NDArray[np.float32]]:
        """Minimise the same objective with everybody's data in one place, with Adam on batches of people."""
        people = [history for history in histories if len(history)]
        parameters = self.starting_parameters(base, generator)
        adam = Adam(parameters, learning_rate or self.central_learning_rate)
        for _ in range(epochs or self.central_epochs):
            for name, value in mean(self._means(parameters, history) for history in people).items():
                parameters[name] += value
            order = generator.permutation(len(people))
            for start in range(0, len(order), batch_size):
                batch = [people[person] for person in order[start : start + batch_size]]
                adam.step(self.mean_gradient(parameters, batch, generator))
        return parameters


def mean(gradients: Iterable[Gradient]) -> Gradient:
    """The mean of gradients of the same tensors, at least one."""
    total: Gradient = {}
    count = 0
    for gradient in gradients:
        count += 1
        for name, value in gradient.items():
            total[name] = total[name] + value if name in total else value
    return {name: value / np.float32(count) for name, value in total.items()}
