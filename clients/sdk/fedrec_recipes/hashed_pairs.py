"""Neighbours of items from hashed counts of pairs, in one round: for large, sparse catalogues (`hashed-pairs`)."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from fedrec_protocol.tensors import DType, Tensors, TensorSpec
from fedrec_recipes.neighbour_lists import NEIGHBOUR_WEIGHTS, NEIGHBOURS, heaviest, neighbour_lists, spoken_for
from fedrec_recipes.pair_table import PairTable, ReadableTables
from fedrec_recipes.recipe import History
from fedrec_recipes.statistics_recipe import StatisticsConfig, StatisticsRecipe, Totals, last, without_repeats
from fedrec_recipes.trend import LATEST, latest_items, trend

PAIR_COUNT = "pair_count"
ITEM_COUNT = "item_count"
LATEST_COUNT = "latest_count"

_LARGEST_WEIGHT = 16
"""Integer weight of a pair of neighbouring items: sums are exact, and fit a byte."""


class HashedPairsConfig(StatisticsConfig):
    """Hyperparameters of `hashed-pairs`."""

    cells_per_item: PositiveInt = 1024
    """Bytes of a report for each item. Eight times the different pairs that an item is in lose little."""
    hashes: PositiveInt = 6
    """Cells that each pair is counted in."""
    neighbours: PositiveInt = 64
    """Items that an item speaks for; six bytes of the model each."""
    is_ordered: bool = True
    """False where histories have no order: all pairs of a person's items weigh the same, and all items when scoring."""
    window: PositiveInt = 32
    """Places apart that the items of a pair are at most."""
    offset: PositiveFloat = 2.0
    """With `power`: a pair with k items between weighs (1 + k / offset)^-power."""
    power: PositiveFloat = 0.5
    """See `offset`. Pairs far apart say nearly as much as close ones of which items go together."""
    recency_power: PositiveFloat = 1.5
    """Scores forget faster: an item of the history with k later ones weighs (1 + k / offset)^-recency_power."""
    backward: float = Field(default=0.25, ge=0, le=1)
    """What it counts that the neighbour came before, beside that it came after."""
    regularisation: NonNegativeFloat = 2.0
    """People that are added to each item's, as a multiple of their mean: rare items say less."""
    source_damping: float = Field(default=0.75, ge=0, le=1)
    """Weights are divided by this power of the number of people of the item that speaks."""
    target_damping: float = Field(default=0.15, ge=0, le=1)
    """And by this power of that of the neighbour."""
    trend: NonNegativeFloat = 0.3
    """They are multiplied by the neighbour's `fedrec_recipes.trend`, as a ratio, to this power."""
    popularity: NonNegativeFloat = 0.01
    """Weight of an item's share of interactions beside its share as a neighbour: it ranks what is nobody's."""


class HashedPairs(StatisticsRecipe[HashedPairsConfig]):
    """Item neighbours by conditional frequency (Deshpande and Karypis 2004, https://doi.org/10.1145/963770.963776).

    Each device counts which of its items followed which, weighted by how closely, in a sketch (`PairTable`); the server
    reads the heaviest pairs from the sum. In a sparse catalogue most pairs of items occur with nobody: a matrix of few
    columns cannot hold the rest, and a table that is a few times larger than what does occur holds it nearly exactly.
    There the matrix that `slit` would invert is almost its diagonal, and dividing by that is as good.

    A device scores by weights of recency. Statistics are integers: the federated model is the central one bit for bit.
    """

    name = "hashed-pairs"
    config_type = HashedPairsConfig

    @property
    def table(self) -> PairTable:
        """Where pairs are counted."""
        config = self.config
        cells = max(config.number_of_items * config.cells_per_item // config.hashes, 1)
        return PairTable(config.number_of_items, cells, config.hashes)

    @property
    def shared(self) -> tuple[TensorSpec, ...]:
        """For each item its neighbours and their weights, most first; and the items' shares of interactions."""
        items = self.config.number_of_items
        return *neighbour_lists(items, self.config.neighbours), TensorSpec(name=ITEM_COUNT, shape=(items,))

    @property
    def statistics(self) -> tuple[TensorSpec, ...]:
        """The sketch of the person's pairs, the person's items, and the latest of them."""
        items = (self.config.number_of_items,)
        return (
            TensorSpec(name=PAIR_COUNT, dtype=DType.I8, shape=(self.table.hashes, self.table.cells)),
            TensorSpec(name=ITEM_COUNT, dtype=DType.I8, shape=items),
            TensorSpec(name=LATEST_COUNT, dtype=DType.I8, shape=items),
        )

    @property
    def largest_norm(self) -> float:
        """From the pairs of the longest history, each added to a cell that is at most full."""
        longest = min(self.config.maximum_history, self.config.number_of_items)
        weights = self._pair_weights(longest)
        added = float(weights @ (longest - 1 - np.arange(len(weights))))
        return float((self.table.largest_square(added) + longest + LATEST) ** 0.5)

    def add(
        self,
        totals: dict[str, NDArray[Any]],
        base: Tensors,  # unused: the sums do not depend on the model
        history: History,
    ) -> None:
        """Count one person's pairs."""
        items = without_repeats(last(history, self.config.maximum_history))
        totals[ITEM_COUNT][items] += 1
        if self.config.is_ordered:
            totals[LATEST_COUNT][latest_items(items)] += 1
        self.table.count(totals[PAIR_COUNT], *self._pairs(items))

    def _pairs(self, items: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """First items, second items and integer weights; without order the first is the one of the lower index."""
        items = items if self.config.is_ordered else np.sort(items)
        by_distance = self._pair_weights(len(items))
        lengths = len(items) - 1 - np.arange(len(by_distance))
        between = np.repeat(np.arange(len(by_distance)), lengths)
        first = np.arange(len(between)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return items[first], items[first + between + 1], by_distance[between]

    def _pair_weights(self, length: int) -> NDArray[np.int64]:
        """Integer weights of a history's pairs by the number of items between, without zeros."""
        distances = max(length - 1, 0)
        if not self.config.is_ordered:
            return np.full(distances, max(round(_LARGEST_WEIGHT / max(length, 1) ** 0.5), 1), dtype=np.int64)
        by_distance = self._recency(min(distances, self.config.window), self.config.power)
        weights = np.rint(_LARGEST_WEIGHT * by_distance).astype(np.int64)
        return weights[weights > 0]

    def _recency(self, length: int, power: float) -> NDArray[np.float32]:
        """Weights by distance, nearest first; all alike without order."""
        if not self.config.is_ordered:
            return np.ones(length, dtype=np.float32)
        return np.asarray((1 + np.arange(length) / self.config.offset) ** -power, dtype=np.float32)

    def solve(
        self,
        base: Tensors,  # unused: the model follows from the sums
        totals: Totals,
    ) -> dict[str, NDArray[Any]]:
        """The heaviest neighbours of every item that anybody chose."""
        people = np.maximum(totals[ITEM_COUNT], 0.0).astype(np.float32)
        tables = self.table.readable(totals[PAIR_COUNT], unit=_LARGEST_WEIGHT)
        from_source, to_target = self._scales(people, trend(totals[LATEST_COUNT], totals[ITEM_COUNT]))

        items = np.arange(self.config.number_of_items)

        def found() -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float32]]]:
            for item in np.flatnonzero(people).tolist():
                weights = from_source[item] * to_target * self._counts_around(tables, item)
                weights[item] = 0.0
                yield item, items, weights

        return {**heaviest(found(), len(items), self.config.neighbours), ITEM_COUNT: people}

    def _counts_around(self, tables: ReadableTables, item: int) -> NDArray[np.float32]:
        """How often others followed this item and, less, how often they preceded it, shape (number_of_items,)."""
        if not self.config.is_ordered:
            return self.table.around(tables, item, np.arange(self.config.number_of_items))
        after, before = self.table.row(tables, item), self.table.column(tables, item)
        return np.asarray(after + np.float32(self.config.backward) * before, dtype=np.float32)

    def _scales(
        self, people: NDArray[np.float32], trends: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Factors of an item as the one that speaks, and as a neighbour: zero if nobody chose it."""
        relative = people / max(float(people.mean()), 1e-9)
        from_source = (relative + self.config.regularisation + 1e-9) ** -self.config.source_damping
        damped = np.maximum(people, 1) ** -self.config.target_damping * np.exp(self.config.trend * trends)
        return from_source.astype(np.float32), np.where(people > 0, damped, 0.0).astype(np.float32)

    def score(
        self,
        shared: Tensors,
        private: Tensors,  # unused: there is nothing of the person's own
        history: History,
    ) -> NDArray[np.float32]:
        """Each item's share of what the history speaks for, and a little of its share of all interactions."""
        recency = self._recency(len(history), self.config.recency_power)
        found = spoken_for(shared, history.items[::-1], recency, self.config.number_of_items)
        return np.asarray(_shares(found) + self.config.popularity * _shares(shared[ITEM_COUNT]), dtype=np.float32)

    def item_vectors(self, shared: Tensors) -> NDArray[np.float32]:
        """What an item says of its neighbours, folded into as many columns as it has neighbours."""
        weights = shared[NEIGHBOUR_WEIGHTS].astype(np.float32)
        folded = np.zeros_like(weights)
        rows = np.broadcast_to(np.arange(len(weights))[:, None], weights.shape)
        np.add.at(folded, (rows, shared[NEIGHBOURS].astype(np.int64) % weights.shape[1]), weights)
        return folded


def _shares(values: NDArray[Any]) -> NDArray[np.float64]:
    """Values that add up to 1, or zeros."""
    total = float(values.sum())
    return np.asarray(values / total if total > 0 else values, dtype=np.float64)
