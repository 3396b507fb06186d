"""GF-CF in a subspace that a few rounds find, and in hashed counts: for large catalogues without an order."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveInt

from fedrec_protocol.tensors import DType, Tensors, TensorSpec
from fedrec_recipes.nearest_pairs import near_items, nearest_pairs
from fedrec_recipes.neighbour_lists import heaviest, neighbour_lists, spoken_for
from fedrec_recipes.pair_table import PairTable
from fedrec_recipes.recipe import History
from fedrec_recipes.statistics_recipe import StatisticsConfig, StatisticsRecipe, Totals, last, without_repeats
from fedrec_recipes.subspace import BASIS, next_basis, random_basis

PEOPLE = "people"
SKETCH = "sketch"
ITEM_COUNT = "item_count"
PAIR_COUNT = "pair_count"


class SketchedGfcfConfig(StatisticsConfig):
    """Hyperparameters of `sketched-gfcf`."""

    dimension: PositiveInt = 384
    """Columns of the basis. A report has 2 bytes for each and each item: 31 MB for 41,000 items."""
    activity_damping: float = Field(default=0.6, ge=0, le=1)
    """Somebody with n items weighs n to the power of minus this, or a few busy people would fill the basis."""
    popularity_damping: float = Field(default=0.5, ge=0, le=1)
    """An item of n people weighs n to the power of minus this, or a few popular items would."""
    nearest: PositiveInt = 5
    """Pairs that a device counts: of each item with so many of the person's others, the nearest by the basis."""
    candidates: PositiveInt = 512
    """Items nearest to an item whose pairs with it are read from the sum. The cells of others are of other pairs."""
    cells_per_item: PositiveInt = 256
    """Bytes of a report for each item, for these pairs: 10 MB for 41,000 items."""
    hashes: PositiveInt = 4
    """Cells that each pair is counted in."""
    neighbours: PositiveInt = 64
    """Items that an item speaks for; six bytes of the model each."""
    target_damping: float = Field(default=0.3, ge=0, le=1)
    """A neighbour of n people weighs n to the power of minus this: less than `popularity_damping` takes off the item
    that speaks, since popular neighbours are what is asked for most."""
    neighbour_weight: NonNegativeFloat = 0.5
    """Weight of what neighbours say beside the filter, both in standard deviations over the items."""


class SketchedGfcf(StatisticsRecipe[SketchedGfcfConfig]):
    """The two filters of Shen et al. 2021 (https://arxiv.org/abs/2108.07567), without a matrix of items by items.

    The ideal low-pass filter scores D^a Q Q^T D^-a h: h is the history, D the items' people, a the damping of
    popularity. Q spans the leading eigenvectors of D^-a G D^-a, where G = sum n^-b h h^T over people of n items. G is
    never formed: a device is given B = D^-a Q and reports n^-b h (h^T B), items x dimension, and the sum of those is
    one step of subspace iteration. The first basis is random; after three rounds further ones bring little.

    A basis of few columns knows what items are about, and not which two of them belong together. That is the linear
    filter: from the second round on devices count pairs too (`PairTable`), and the model has the heaviest neighbours by
    D^-a C D^-t, for the counts C and t the damping of targets. Not all pairs: the basis tells which are near each other
    (`nearest_pairs`).

    Since Q has orthonormal columns, h^T B is no longer than the root of n. A device holds it to that, which bounds
    what one person can add by n^(1 - b).
    """

    name = "sketched-gfcf"
    config_type = SketchedGfcfConfig
    usual_rounds = 3

    @property
    def table(self) -> PairTable:
        """Where pairs are counted."""
        config = self.config
        cells = max(config.number_of_items * config.cells_per_item // config.hashes, 1)
        return PairTable(config.number_of_items, cells, config.hashes)

    @property
    def shared(self) -> tuple[TensorSpec, ...]:
        """B, the next round's basis and the model; how many people chose each item; and the items' neighbours."""
        items = self.config.number_of_items
        return (
            random_basis(items, self.config.dimension),
            TensorSpec(name=PEOPLE, shape=(items,)),
            *neighbour_lists(items, self.config.neighbours),
        )

    @property
    def statistics(self) -> tuple[TensorSpec, ...]:
        """A person's part of G B, the person's items, and the sketch of their pairs."""
        items = self.config.number_of_items
        return (
            TensorSpec(name=SKETCH, dtype=DType.F16, shape=self.shared[0].shape),
            TensorSpec(name=ITEM_COUNT, dtype=DType.I8, shape=(items,)),
            TensorSpec(name=PAIR_COUNT, dtype=DType.I8, shape=(self.table.hashes, self.table.cells)),
        )

    @property
    def largest_norm(self) -> float:
        """From the longest history: n rows of n^-b sqrt(n), n items, and `nearest` pairs of each."""
        longest = min(self.config.maximum_history, self.config.number_of_items)
        sketch = 1.01 * longest ** (1 - self.config.activity_damping)  # 1%: float16 rounds
        pairs = self.table.largest_square(float(longest * min(self.config.nearest, longest)))
        return float((sketch**2 + longest + pairs) ** 0.5)

    def add(self, totals: dict[str, NDArray[Any]], base: Tensors, history: History) -> None:
        """Add one person's items, seen from the basis."""
        items = np.sort(without_repeats(last(history, self.config.maximum_history)))
        if not len(items):
            return
        totals[ITEM_COUNT][items] += 1
        rows = base[BASIS][items].astype(np.float32)
        if np.any(base[PEOPLE]):  # a random basis does not know which items are near each other
            first, second = nearest_pairs(rows, self.config.nearest)
            self.table.count(totals[PAIR_COUNT], items[first], items[second], np.ones_like(first))
        seen = rows.sum(axis=0)
        seen /= max(float(np.linalg.norm(seen)) / len(items) ** 0.5, 1.0)
        # As in a report, so that a central sum adds the numbers that a device would send.
        totals[SKETCH][items] += (seen * len(items) ** -self.config.activity_damping).astype(np.float16)

    def solve(self, base: Tensors, totals: Totals) -> dict[str, NDArray[Any]]:
        """An orthonormal basis of what the sketch spans, damped, and the neighbours."""
        people = np.maximum(totals[ITEM_COUNT], 1.0)
        damping = people**-self.config.popularity_damping
        basis = next_basis(totals[SKETCH], damping[:, None])
        return {
            BASIS: (basis * damping[:, None]).astype(np.float16),
            PEOPLE: people.astype(np.float32),
            **heaviest(self._pairs(base, totals), self.config.number_of_items, self.config.neighbours),
        }

    def _pairs(self, base: Tensors, totals: Totals) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float32]]]:
        """Every item with those near it, and the damped counts; none before anybody counted a pair."""
        if not np.any(base[PEOPLE]):
            return
        people = np.maximum(totals[ITEM_COUNT], 1.0).astype(np.float32)
        of_source, of_target = people**-self.config.popularity_damping, people**-self.config.target_damping
        tables = self.table.readable(totals[PAIR_COUNT])
        near = near_items(base[BASIS].astype(np.float32), self.config.candidates)
        for item, others in enumerate(near):
            yield item, others, of_source[item] * of_target[others] * self.table.around(tables, item, others)

    def score(
        self,
        shared: Tensors,
        private: Tensors,  # unused: a linear model has none
        history: History,
    ) -> NDArray[np.float32]:
        """The history through both filters."""
        basis = shared[BASIS].astype(np.float32, copy=False)
        low_pass = (basis @ basis[history.items].sum(axis=0)) * shared[PEOPLE] ** (2 * self.config.popularity_damping)
        weights = np.ones(len(history), dtype=np.float32)
        linear = spoken_for(shared, history.items, weights, self.config.number_of_items)
        scores = _in_deviations(low_pass) + self.config.neighbour_weight * _in_deviations(linear)
        return np.asarray(scores, dtype=np.float32)

    def item_vectors(self, shared: Tensors) -> NDArray[np.float32]:
        """Rows of Q."""
        damped = shared[BASIS].astype(np.float32)
        return np.asarray(damped * (shared[PEOPLE] ** self.config.popularity_damping)[:, None], dtype=np.float32)


def _in_deviations(scores: NDArray[Any]) -> NDArray[Any]:
    """Divided by their standard deviation over the items, unless all are alike."""
    deviation = float(scores.std())
    return scores / deviation if deviation > 0 else scores
