"""The low-pass filter of GF-CF in a subspace that a few rounds find: for large catalogues without an order."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from fedrec_protocol.tensors import DType, Tensors, TensorSpec
from fedrec_recipes.recipe import History
from fedrec_recipes.statistics_recipe import StatisticsConfig, StatisticsRecipe, Totals, last, without_repeats
from fedrec_recipes.subspace import BASIS, next_basis, random_basis

PEOPLE = "people"
SKETCH = "sketch"
ITEM_COUNT = "item_count"


class SketchedGfcfConfig(StatisticsConfig):
    """Hyperparameters of `sketched-gfcf`."""

    dimension: PositiveInt = 512
    """Columns of the basis. A report has 2 bytes for each and each item: 42 MB for 41,000 items."""
    activity_damping: float = Field(default=0.6, ge=0, le=1)
    """Somebody with n items weighs n to the power of minus this, or a few busy people would fill the basis."""
    popularity_damping: float = Field(default=0.5, ge=0, le=1)
    """An item of n people weighs n to the power of minus this, or a few popular items would."""


class SketchedGfcf(StatisticsRecipe[SketchedGfcfConfig]):
    """Scores are D^a Q Q^T D^-a h: h is the history, D the items' people, a the damping of popularity.

    Q spans the leading eigenvectors of D^-a G D^-a, where G = sum n^-b h h^T over people of n items: the ideal low-pass
    filter of Shen et al. 2021 (https://arxiv.org/abs/2108.07567), whose linear term is left out. G, items x items, is
    never formed: a device is given B = D^-a Q and reports n^-b h (h^T B), items x dimension, and the sum of those
    is one step of subspace iteration. The first basis is random; after three rounds further ones bring little.

    Since Q has orthonormal columns, h^T B is no longer than the root of n. A device holds it to that, which bounds
    what one person can add by n^(1 - b).
    """

    name = "sketched-gfcf"
    config_type = SketchedGfcfConfig
    usual_rounds = 3

    @property
    def shared(self) -> tuple[TensorSpec, ...]:
        """B, the next round's basis and the model; and how many people chose each item."""
        items = self.config.number_of_items
        return random_basis(items, self.config.dimension), TensorSpec(name=PEOPLE, shape=(items,))

    @property
    def statistics(self) -> tuple[TensorSpec, ...]:
        """A person's part of G B, and the person's items."""
        items = self.config.number_of_items
        return (
            TensorSpec(name=SKETCH, dtype=DType.F16, shape=self.shared[0].shape),
            TensorSpec(name=ITEM_COUNT, dtype=DType.I8, shape=(items,)),
        )

    @property
    def largest_norm(self) -> float:
        """From the longest history: n rows of n^-b sqrt(n), and n items."""
        longest = min(self.config.maximum_history, self.config.number_of_items)
        sketch = 1.01 * longest ** (1 - self.config.activity_damping)  # 1%: float16 rounds
        return float((sketch**2 + longest) ** 0.5)

    def add(self, totals: dict[str, NDArray[Any]], base: Tensors, history: History) -> None:
        """Add one person's items, seen from the basis."""
        items = without_repeats(last(history, self.config.maximum_history))
        if not len(items):
            return
        totals[ITEM_COUNT][items] += 1
        seen = base[BASIS][items].astype(np.float32).sum(axis=0)
        seen /= max(float(np.linalg.norm(seen)) / len(items) ** 0.5, 1.0)
        # As in a report, so that a central sum adds the numbers that a device would send.
        totals[SKETCH][items] += (seen * len(items) ** -self.config.activity_damping).astype(np.float16)

    def solve(self, base: Tensors, totals: Totals) -> dict[str, NDArray[Any]]:
        """An orthonormal basis of what the sketch spans, damped."""
        people = np.maximum(totals[ITEM_COUNT], 1.0)
        damping = (people**-self.config.popularity_damping)[:, None]
        return {
            BASIS: (next_basis(totals[SKETCH], damping) * damping).astype(np.float16),
            PEOPLE: people.astype(np.float32),
        }

    def score(
        self,
        shared: Tensors,
        private: Tensors,  # unused: a linear model has none
        history: History,
    ) -> NDArray[np.float32]:
        """The history through the filter."""
        basis = shared[BASIS].astype(np.float32, copy=False)
        scores = basis @ basis[history.items].sum(axis=0)
        return np.asarray(scores * shared[PEOPLE] ** (2 * self.config.popularity_damping), dtype=np.float32)

    def item_vectors(self, shared: Tensors) -> NDArray[np.float32]:
        """Rows of Q."""
        damped = shared[BASIS].astype(np.float32)
        return np.asarray(damped * (shared[PEOPLE] ** self.config.popularity_damping)[:, None], dtype=np.float32)
