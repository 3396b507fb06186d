"""The seam between recommenders and everything else: one small interface."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from fedrec_protocol.base import Message
from fedrec_protocol.initialise import initial_parameters
from fedrec_protocol.manifest import AggregationRule, RecipeChoice, ReportFormat, TrainingPlan
from fedrec_protocol.tensors import Tensors, TensorSpec


class RecipeConfig(Message):
    """Hyperparameters of a recipe; `number_of_items` is common to all."""

    number_of_items: PositiveInt
    """Size of the catalogue: items are 0 ... number_of_items - 1."""


ConfigT = TypeVar("ConfigT", bound=RecipeConfig)


@dataclass(frozen=True)
class History:
    """One person's interactions, oldest first. It never leaves the device."""

    items: NDArray[np.int64]
    """Item indices, shape (n,)."""
    times: NDArray[np.float64] | None = None
    """Seconds since the epoch, shape (n,), not decreasing; None where unknown."""

    def __len__(self) -> int:
        return len(self.items)

    def without_last(self, count: int) -> "History":
        """The history as it was `count` interactions ago."""
        end = max(len(self.items) - count, 0)
        return History(self.items[:end], None if self.times is None else self.times[:end])

    def without_repeats(self) -> "History":
        """Each item at its first time only."""
        return self if self._first is None else self.at(self._first)

    def at(self, places: NDArray[np.integer] | NDArray[np.bool_]) -> "History":
        """The interactions at these places."""
        return History(self.items[places], None if self.times is None else self.times[places])

    @cached_property
    def _first(self) -> NDArray[np.int64] | None:
        """Places of the items' first times; None where nothing is repeated."""
        first = np.unique(self.items, return_index=True)[1]
        return None if len(first) == len(self.items) else np.sort(first)


@dataclass(frozen=True)
class LocalResult:
    """What came of local training."""

    report: Tensors
    """Tensors of the report, as the recipe's report format names them."""
    examples: int
    """Number of examples n_k that they were made from."""
    private: Tensors = field(default_factory=dict)
    """New values of the private tensors: kept on the device."""


_NOTHING = np.zeros(0, dtype=np.int64)


class Recipe(ABC, Generic[ConfigT]):
    """A recommender model with its local training, scoring and evaluation.

    A recipe is a value: it holds its configuration and no parameters. Tensors go in and come out as
    numpy arrays by name; torch is an implementation detail of the recipes that need it.
    """

    name: ClassVar[str]
    """The name in a manifest."""
    config_type: ClassVar[type[RecipeConfig]]
    """Type of the configuration in a manifest."""
    private: ClassVar[tuple[str, ...]] = ()
    """Name patterns of tensors that never leave the device."""
    usual_rounds: ClassVar[int] = 30
    """Training rounds in which it learns most of what it will, with the defaults and with everybody in every round."""
    learns: ClassVar[bool] = True
    """Whether `train` learns. Held-out interactions are kept from what learns; what only measures gets them."""
    needs_base: ClassVar[bool] = False
    """Whether a task of it makes sense only from a version that other tasks came to."""

    def __init__(self, config: ConfigT) -> None:
        self.config = config

    @property
    @abstractmethod
    def shared(self) -> tuple[TensorSpec, ...]:
        """The global model's tensors with their initialisers."""

    @property
    def report_format(self) -> ReportFormat:
        """Contents and bounds of a report; by default a weighted delta of the shared tensors."""
        return ReportFormat()

    @property
    def aggregation(self) -> AggregationRule:
        """The rule that suits this recipe, with its parameters."""
        return AggregationRule()

    @property
    def training(self) -> TrainingPlan:
        """Sane defaults for local training."""
        return TrainingPlan()

    @property
    def choice(self) -> RecipeChoice:
        """This recipe as a manifest spells it."""
        return RecipeChoice(name=self.name, config=self.config.model_dump(mode="json"))

    @abstractmethod
    def train(
        self, shared: Tensors, private: Tensors, history: History, plan: TrainingPlan, generator: np.random.Generator
    ) -> LocalResult:
        """Train on one person's history from the shared parameters.

        Args:
            shared: The base version's tensors.
            private: This person's private tensors; empty the first time.
            history: The interactions to learn from.
            plan: Epochs, batch size, learning rate, options.
            generator: All randomness comes from here, so that a run can be repeated bit for bit.
        """

    @abstractmethod
    def score(self, shared: Tensors, private: Tensors, history: History) -> NDArray[np.float32]:
        """Scores of all items for one person, shape (number_of_items,); larger is better.

        Works for a person who never trained: what is private is solved from `history` when missing.
        """

    @property
    def keeps_seen(self) -> bool:
        """Whether items that a person had may come again: then they are recommended and ranked, and repeats count."""
        return False

    def known(self, history: History) -> History:
        """A history as this recipe looks at it: with repeats only where it keeps what was seen."""
        return history if self.keeps_seen else history.without_repeats()

    def excluded(self, history: History) -> NDArray[np.int64]:
        """The items of a history that are neither recommended nor ranked."""
        return _NOTHING if self.keeps_seen else history.items

    def item_vectors(self, shared: Tensors) -> NDArray[np.float32] | None:
        """What tells items apart, for lists that are varied: shape (number_of_items, any), or None.

        By default the first shared matrix that has a row for each item: embeddings, or item weights.
        """
        items = self.config.number_of_items
        found = (shared[spec.name] for spec in self.shared if len(spec.shape) == 2 and spec.shape[0] == items)
        vectors = next(found, None)
        return None if vectors is None else np.asarray(vectors, dtype=np.float32)

    @abstractmethod
    def train_central(
        self, histories: Sequence[History], generator: np.random.Generator, *, base: Tensors | None = None
    ) -> Tensors:
        """Shared tensors from the same objective with everybody's data in one place: the baseline of each recipe.

        Args:
            histories: Everybody's interactions.
            generator: All randomness comes from here.
            base: Parameters to start from; None draws them as `shared` says. Where the minimum that training finds
                depends on the start, a federated run is compared with a central one from the same.
        """

    def starting_parameters(self, base: Tensors | None, generator: np.random.Generator) -> dict[str, NDArray[Any]]:
        """What central training moves in place: a copy of `base`, or such as a server draws from `shared`."""
        start = initial_parameters(self.shared, int(generator.integers(2**63))) if base is None else base
        return {name: np.array(values) for name, values in start.items()}
