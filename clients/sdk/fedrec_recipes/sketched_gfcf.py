"""GF-CF in a subspace that a few rounds find, and in hashed counts: for large catalogues without an order."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from fedrec_protocol.tensors import DType, Tensors, TensorSpec
from fedrec_recipes.implicit import solve_vector
from fedrec_recipes.nearest_pairs import near_items, nearest_pairs
from fedrec_recipes.neighbour_lists import heaviest, neighbour_lists, spoken_for
from fedrec_recipes.pair_table import PairTable
from fedrec_recipes.recipe import History
from fedrec_recipes.statistics_recipe import StatisticsConfig, StatisticsRecipe, Totals, last, without_repeats
from fedrec_recipes.subspace import BASIS, leading_basis, random_basis

PEOPLE = "people"
COLUMN_SCALE = "column_scale"
VECTOR_GRAM = "vector_gram"
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
    unobserved: PositiveFloat = 50.0
    """What all items together weigh as not chosen, in chosen items, in the regression for a user vector."""
    regularisation: PositiveFloat = 0.02
    """L2 penalty of that regression, for each of both: items' vectors have a mean square length of 1."""
    vector_weight: NonNegativeFloat = 1.0
    """Weight of the user vector, in standard deviations over the items, like the next two."""
    filter_weight: NonNegativeFloat = 0.5
    """Weight of the low-pass filter."""
    neighbour_weight: NonNegativeFloat = 1.0
    """Weight of what neighbours say."""


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

    Both filters add up what single items say, so five items of one kind say it five times. A third voice is a user
    vector p, by ridge regression on the device as in iALS (`implicit`): items have the vectors V = D^a Q L^(1/2), for
    the eigenvalues L, and all items together, to be predicted as 0, weigh as much as `unobserved` chosen ones. It
    needs nothing of anybody that the filter did not need.

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
        """B, the next round's basis; items' people; what makes B's columns those of V, and V^T V; items' neighbours."""
        items = self.config.number_of_items
        columns = min(self.config.dimension, items)
        return (
            random_basis(items, columns),
            TensorSpec(name=PEOPLE, shape=(items,)),
            TensorSpec(name=COLUMN_SCALE, shape=(columns,)),
            TensorSpec(name=VECTOR_GRAM, shape=(columns, columns)),
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
        """An orthonormal basis of what the sketch spans, damped; the items' vectors in it; and the neighbours."""
        people = np.maximum(totals[ITEM_COUNT], 1.0)
        damping = people**-self.config.popularity_damping
        basis, eigenvalues = leading_basis(totals[SKETCH], damping[:, None])
        scale = eigenvalues**0.5
        vectors = basis / damping[:, None] * scale
        length = max(float(np.mean(np.sum(vectors**2, axis=1))), np.finfo(float).tiny) ** 0.5
        return {
            BASIS: (basis * damping[:, None]).astype(np.float16),
            PEOPLE: people.astype(np.float32),
            COLUMN_SCALE: (scale / length).astype(np.float32),
            VECTOR_GRAM: (vectors.T @ vectors / length**2).astype(np.float32),
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
        """The user vector times the items', and the history through both filters."""
        config, items = self.config, history.items
        basis, scale = shared[BASIS].astype(np.float32, copy=False), shared[COLUMN_SCALE]
        undamped = shared[PEOPLE] ** np.float32(2 * config.popularity_damping)  # rows of D^-a Q become those of D^a Q
        vector = self._user_vector(shared, undamped[items, None] * basis[items] * scale)
        by_vector, low_pass = undamped * (basis @ np.stack([scale * vector, basis[items].sum(axis=0)], axis=1)).T
        linear = spoken_for(shared, items, np.ones(len(items), dtype=np.float32), config.number_of_items)
        scores = (
            config.vector_weight * _in_deviations(by_vector)
            + config.filter_weight * _in_deviations(low_pass)
            + config.neighbour_weight * _in_deviations(linear)
        )
        return np.asarray(scores, dtype=np.float32)

    def _user_vector(self, shared: Tensors, chosen: NDArray[Any]) -> NDArray[np.float32]:
        """By it, shape (columns,), chosen items' vectors, shape (n, columns), predict 1 and all items' vectors 0."""
        items = self.config.number_of_items
        vector = solve_vector(
            shared[VECTOR_GRAM].astype(np.float64),
            chosen.astype(np.float64),
            items,
            unobserved_weight=self.config.unobserved / items,
            regularisation=self.config.regularisation,
        )
        return np.asarray(vector, dtype=np.float32)

    def item_vectors(self, shared: Tensors) -> NDArray[np.float32]:
        """Rows of Q."""
        damped = shared[BASIS].astype(np.float32)
        return np.asarray(damped * (shared[PEOPLE] ** self.config.popularity_damping)[:, None], dtype=np.float32)


def _in_deviations(scores: NDArray[Any]) -> NDArray[Any]:
    """Divided by their standard deviation over the items, unless all are alike."""
    deviation = float(scores.std())
    return scores / deviation if deviation > 0 else scores
