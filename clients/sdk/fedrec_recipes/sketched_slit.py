"""The next-item model in a subspace that a few rounds find: for large catalogues (`sketched-slit`)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from fedrec_protocol.tensors import DType, Tensors, TensorSpec
from fedrec_recipes.contexts import recent_contexts
from fedrec_recipes.packed import packed_size, unpack, upper_triangle
from fedrec_recipes.recipe import History
from fedrec_recipes.statistics_recipe import StatisticsConfig, StatisticsRecipe, Totals, last, without_repeats
from fedrec_recipes.subspace import BASIS, next_basis, random_basis

CONTEXT_FACTORS = "context_factors"
ITEM_FACTORS = "item_factors"
CONTEXT_GRAM = "context_gram"
NEXT_ITEM_SKETCH = "next_item_sketch"
ITEM_COUNT = "item_count"


class SketchedSlitConfig(StatisticsConfig):
    """Hyperparameters of `sketched-slit`."""

    dimension: PositiveInt = 128
    """Columns of the basis. A report has 2 bytes for each and each item: 0.95 MB for 3,706 items."""
    window: PositiveInt = 50
    """Items of a context; older ones weigh nothing."""
    power: PositiveFloat = 1.25
    """The item k places back weighs (1 + k / offset)^-power."""
    offset: PositiveFloat = 2.0
    """Places back at which the weight has fallen to 2^-power."""
    regularisation: PositiveFloat = 0.5
    """λ as a multiple of the mean number of people per item, so that it suits any catalogue."""
    popularity_damping: float = Field(default=0.5, ge=0, le=2)
    """The next basis sees items divided by this power of their number of people, or a few items would fill it."""

    @model_validator(mode="before")
    @classmethod
    def _has_an_order(cls, values: Any) -> Any:
        # `is_ordered` was an option until histories without an order had a recipe of their own.
        if not isinstance(values, dict) or "is_ordered" not in values:
            return values
        if values["is_ordered"] is not True:
            raise ValueError("is_ordered: histories without an order are for recipe 'sketched-gfcf'")
        return {name: value for name, value in values.items() if name != "is_ordered"}


class SketchedSlit(StatisticsRecipe[SketchedSlitConfig]):
    """`slit` with T = Q (Q^T S Q + λ I)^-1 Q^T C, for a basis Q of few columns that each round improves.

    S = sum z z^T and C = sum z y^T over contexts z and next items y are never reported: a device reports C^T Q
    and Q^T S Q, number_of_items x dimension and dimension x dimension. C^T Q is also a step of subspace iteration:
    its orthonormalised columns, damped by popularity, are the next round's basis. The first basis is random, so the
    model of the first round is weak; that of the third is close to what further rounds bring.

    The rows of a basis have length 1 at most, which bounds what one person can add.
    """

    name = "sketched-slit"
    config_type = SketchedSlitConfig
    usual_rounds = 3

    @property
    def dimension(self) -> int:
        """Columns of the basis: no more than there are items."""
        return min(self.config.dimension, self.config.number_of_items)

    @property
    def context_weights(self) -> NDArray[np.float64]:
        """Weights of the last items, newest first, shape (window,)."""
        return np.asarray((1 + np.arange(self.config.window) / self.config.offset) ** -self.config.power)

    @property
    def shared(self) -> tuple[TensorSpec, ...]:
        """The next round's basis; and the model: the basis it was solved in, and the weights of the items there."""
        basis = random_basis(self.config.number_of_items, self.config.dimension)
        return (
            basis,
            TensorSpec(name=CONTEXT_FACTORS, dtype=DType.F16, shape=basis.shape),
            TensorSpec(name=ITEM_FACTORS, shape=basis.shape),
        )

    @property
    def statistics(self) -> tuple[TensorSpec, ...]:
        """Q^T S Q (packed), C^T Q and the person's items."""
        items = self.config.number_of_items
        return (
            TensorSpec(name=CONTEXT_GRAM, shape=(packed_size(self.dimension),)),
            TensorSpec(name=NEXT_ITEM_SKETCH, dtype=DType.F16, shape=(items, self.dimension)),
            TensorSpec(name=ITEM_COUNT, dtype=DType.I8, shape=(items,)),
        )

    @property
    def largest_norm(self) -> float:
        """From the length of the longest context and the number of contexts."""
        longest = min(self.config.maximum_history, self.config.number_of_items)
        square = (1.01 * float(self.context_weights[:longest].sum())) ** 2  # 1%: float16 rounds
        return float((longest**2 * square**2 + longest * square + longest) ** 0.5)

    def add(self, totals: dict[str, NDArray[Any]], base: Tensors, history: History) -> None:
        """Add one person's contexts and next items, seen from the basis."""
        items = without_repeats(last(history, self.config.maximum_history))
        totals[ITEM_COUNT][items] += 1
        contexts = recent_contexts(_within_unit_ball(base[BASIS][items]), self.context_weights)
        # As in a report, so that a central sum adds the numbers that a device would send.
        contexts = contexts.astype(np.float16)
        totals[NEXT_ITEM_SKETCH][items[1:]] += contexts
        wide = contexts.astype(np.float32)
        totals[CONTEXT_GRAM] += (wide.T @ wide).ravel()[upper_triangle(self.dimension)]

    def solve(self, base: Tensors, totals: Totals) -> dict[str, NDArray[Any]]:
        """The ridge regression of the next items on the contexts, in the basis; and the next basis."""
        people = np.maximum(totals[ITEM_COUNT], 1.0)
        sketch = totals[NEXT_ITEM_SKETCH]
        gram = unpack(totals[CONTEXT_GRAM], self.dimension)
        gram[np.diag_indices_from(gram)] += self.config.regularisation * float(people.mean())
        basis = next_basis(sketch, (people**-self.config.popularity_damping)[:, None])
        return {
            BASIS: basis.astype(np.float16),
            CONTEXT_FACTORS: np.asarray(base[BASIS], dtype=np.float16),
            ITEM_FACTORS: np.linalg.solve(gram, sketch.T).T.astype(np.float32),
        }

    def score(
        self,
        shared: Tensors,
        private: Tensors,  # unused: a linear model has none
        history: History,
    ) -> NDArray[np.float32]:
        """The person's context, times the weights of the items."""
        rows = _within_unit_ball(shared[CONTEXT_FACTORS][history.items])
        weights = self._history_weights(len(history))
        return np.asarray(shared[ITEM_FACTORS] @ (weights @ rows), dtype=np.float32)

    def item_vectors(self, shared: Tensors) -> NDArray[np.float32]:
        """The weights of the items in the basis; the basis itself is the next round's."""
        return np.asarray(shared[ITEM_FACTORS], dtype=np.float32)

    def _history_weights(self, length: int) -> NDArray[np.float32]:
        """Weights of a history in the context of what comes next, oldest first."""
        weights = np.zeros(length, dtype=np.float32)
        newest_first = self.context_weights[:length]
        weights[length - len(newest_first) :] = newest_first[::-1]
        return weights


def _within_unit_ball(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Rows as float32, those longer than 1 scaled down to it."""
    wide = rows.astype(np.float32)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.asarray(wide / np.maximum(lengths, np.float32(1.0)), dtype=np.float32)
