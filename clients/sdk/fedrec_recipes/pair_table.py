"""Counts of pairs of items in a table much smaller than all pairs: a count-min sketch."""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST_CELL = int(np.iinfo(np.int8).max)
"""What one person's report has in a cell at most."""

_GOLDEN = 0x9E3779B97F4A7C15
_FIRST_MIX = 0xBF58476D1CE4E5B9
_SECOND_MIX = 0x94D049BB133111EB


@dataclass(frozen=True)
class PairTable:
    """Where the counts of pairs lie: Cormode and Muthukrishnan 2005, https://doi.org/10.1016/j.jalgor.2003.12.001.

    Each of `hashes` tables has one cell for a pair, which it shares with others; counts are never negative, so
    the smallest of a pair's cells is the least wrong, and never too low. Tables of counts add up like the counts.

    The cell of (i, j) is (a_i + b_j) modulo the number of cells, for a hash a of the first item and b of the second:
    all cells of a row are then one addition away from each other, and a row is read without hashing anything again.
    """

    number_of_items: int
    cells: int
    """Of each table."""
    hashes: int

    def cells_of(self, table: int, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
        """The cells of pairs in one of the tables; broadcasts."""
        return np.asarray((self._of_first[table][first] + self._of_second[table][second]) % self.cells, dtype=np.int64)

    def count(
        self,
        tables: NDArray[Any],
        first: NDArray[np.int64],
        second: NDArray[np.int64],
        weights: NDArray[np.int64],
    ) -> None:
        """Count one person's pairs in place; what a cell has of one person is cut to `LARGEST_CELL`.

        Args:
            tables: Shape (hashes, cells); sums of many people, or a report of bytes.
            first: The pairs' first items.
            second: Their second items, same shape.
            weights: What each pair counts, same shape.
        """
        for table in range(self.hashes):
            cells, places = np.unique(self.cells_of(table, first, second), return_inverse=True)
            counts = np.bincount(places, weights=weights, minlength=len(cells))
            tables[table][cells] += np.minimum(counts, LARGEST_CELL).astype(tables.dtype)

    def largest_square(self, counted: float) -> float:
        """Square of the L2 norm that one person's tables have at most, if their pairs count so much together."""
        return self.hashes * LARGEST_CELL * min(counted, float(self.cells * LARGEST_CELL))

    def readable(self, totals: NDArray[np.float64], unit: float = 1.0) -> "ReadableTables":
        """Sums of tables as they are read: without what strangers read.

        Args:
            totals: Shape (hashes, cells); noise of masks or rounding may have made a cell negative.
            unit: What counts as one.
        """
        twice = np.empty((self.hashes, 2 * self.cells), dtype=np.float32)
        once = twice[:, : self.cells]
        once[...] = totals
        once /= np.float32(unit)
        once -= np.float32(self.of_strangers(once))
        np.maximum(once, np.float32(0), out=once)
        twice[:, self.cells :] = once
        return ReadableTables(twice)

    def of_strangers(self, counts: NDArray[np.float32]) -> float:
        """What a pair that never occurred reads: zero in a table with room, the median of such pairs in a full one.

        Args:
            counts: The tables, shape (hashes, cells).
        """
        # The smallest of h cells is above a value v with chance P(cell > v)**h.
        return float(np.quantile(counts, 1 - 0.5 ** (1 / self.hashes)))

    def row(self, tables: "ReadableTables", first: int) -> NDArray[np.float32]:
        """Upper bounds of the counts of (first, j) for all j, shape (number_of_items,).

        Args:
            tables: Of `readable`.
            first: The first item of the pairs.
        """
        return tables.bounds(self._of_first[:, first], self._of_second)

    def column(self, tables: "ReadableTables", second: int) -> NDArray[np.float32]:
        """Upper bounds of the counts of (i, second) for all i; as `row`."""
        return tables.bounds(self._of_second[:, second], self._of_first)

    def around(self, tables: "ReadableTables", item: int, others: NDArray[np.int64]) -> NDArray[np.float32]:
        """Upper bounds of the counts of pairs with `item`, where each was counted with its lower item first.

        Args:
            tables: Of `readable`.
            item: One item of the pairs.
            others: The other ones, in order.

        Returns:
            Shape of `others`; zero for the item itself.
        """
        place, next_place = np.searchsorted(others, [item, item + 1])
        before = tables.bounds(self._of_second[:, item], self._of_first[:, others[:place]])
        after = tables.bounds(self._of_first[:, item], self._of_second[:, others[next_place:]])
        return np.concatenate([before, np.zeros(next_place - place, dtype=np.float32), after])

    @property
    def _of_first(self) -> NDArray[np.int64]:
        return _hashed(0, self.hashes, self.number_of_items, self.cells)

    @property
    def _of_second(self) -> NDArray[np.int64]:
        return _hashed(1, self.hashes, self.number_of_items, self.cells)


@dataclass(frozen=True)
class ReadableTables:
    """Sums of tables, from which the counts of pairs are read."""

    twice: NDArray[np.float32]
    """Each table followed by itself, so that no sum of two hashes leaves it: shape (hashes, 2 * cells)."""

    @cached_property
    def _is_occupied(self) -> NDArray[np.bool_]:
        """Where the first of them is not zero. Most pairs end there, and bytes are read in half the time of numbers."""
        return np.asarray(self.twice[0] > 0)

    def bounds(self, one: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.float32]:
        """The smallest of the cells of each pair of an item with others, shape (n,).

        Args:
            one: Hashes of the one item, shape (hashes,).
            others: Hashes of the others, shape (hashes, n).
        """
        found: NDArray[np.float32] = np.zeros(others.shape[1], dtype=np.float32)
        left = np.flatnonzero(self._is_occupied.take(one[0] + others[0]))
        least = self.twice[0].take(one[0] + others[0].take(left))
        for table in range(1, len(self.twice)):
            least = np.minimum(least, self.twice[table].take(one[table] + others[table].take(left)))
            kept = np.flatnonzero(least)
            left, least = left.take(kept), least.take(kept)
        found[left] = least
        return found


@cache
def _hashed(side: int, hashes: int, number_of_items: int, cells: int) -> NDArray[np.int64]:
    """Cells for every item, shape (hashes, number_of_items), by the mixing of SplitMix64 (Steele et al. 2014).

    Not numpy's generator, whose numbers may change between its versions: devices and the server must agree.
    """
    order = np.arange(hashes * number_of_items, dtype=np.uint64) + np.uint64(side * hashes * number_of_items + 1)
    mixed = order * np.uint64(_GOLDEN)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(_FIRST_MIX)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(_SECOND_MIX)
    mixed ^= mixed >> np.uint64(31)
    return (mixed % np.uint64(cells)).astype(np.int64).reshape(hashes, number_of_items)
