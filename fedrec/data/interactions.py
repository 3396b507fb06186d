"""Interactions of many people with a catalogue, and their histories."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fedrec.refused import Refused
from fedrec_recipes.recipe import History


class DataError(Refused):
    """A file is not what its adapter reads; the message names file, line and column."""


@dataclass(frozen=True)
class Interactions:
    """Who chose what, and when: one row per interaction, in the order of the source.

    `users` and `items` are indices into `user_ids` and `item_ids`, shape (n,).
    """

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    user_ids: tuple[str, ...]
    """The source's names of the users."""
    item_ids: tuple[str, ...]
    """The source's names of the items."""
    times: NDArray[np.float64] | None = None
    """Seconds since the epoch, shape (n,); None when only the order is known."""
    remarks: tuple[str, ...] = ()
    """What was taken for what, and what was left out, a sentence each."""

    def __len__(self) -> int:
        return len(self.users)

    @property
    def number_of_items(self) -> int:
        """Size of the catalogue."""
        return len(self.item_ids)

    def with_item_support(self, minimum: int) -> "Interactions":
        """Only the items with at least `minimum` interactions, renumbered; emptied users stay."""
        kept_items = np.flatnonzero(np.bincount(self.items, minlength=self.number_of_items) >= minimum)
        rows = np.isin(self.items, kept_items)
        return replace(
            self,
            users=self.users[rows],
            items=np.searchsorted(kept_items, self.items[rows]),
            item_ids=tuple(self.item_ids[item] for item in kept_items),
            times=None if self.times is None else self.times[rows],
        )

    def histories(self) -> list[History]:
        """One history per user, oldest first, in the order of `user_ids`.

        Equal times keep the order of the source. A repeated item counts once, at its first time: a
        model that has seen an item would otherwise be asked to predict it.
        """
        return [history.without_repeats() for history in self.histories_with_repeats()]

    def histories_with_repeats(self) -> list[History]:
        """The same, each item as often as its user had it."""
        rows = self._ordered_rows()
        bounds = np.searchsorted(self.users[rows], np.arange(len(self.user_ids) + 1))
        return [self._history(rows[start:end]) for start, end in pairwise(bounds)]

    def _ordered_rows(self) -> NDArray[np.int64]:
        """Rows by user, then time, then the order of the source (`lexsort` is stable)."""
        keys = (self.users,) if self.times is None else (self.times, self.users)
        return np.lexsort(keys)

    def _history(self, rows: NDArray[np.int64]) -> History:
        return History(self.items[rows], None if self.times is None else self.times[rows])


def from_columns(users: list[str], items: list[str], times: NDArray[np.float64] | None = None) -> Interactions:
    """Interactions from columns of names; indices follow the first appearance of a name.

    Raises:
        DataError: columns of different lengths, or a time that is not a number.
    """
    if len(users) != len(items) or (times is not None and len(times) != len(users)):
        raise DataError("the columns have different lengths")
    if times is not None and not np.isfinite(times).all():
        raise DataError(f"row {int(np.flatnonzero(~np.isfinite(times))[0]) + 1}: the time is not a finite number")
    user_index, user_ids = _numbered(users)
    item_index, item_ids = _numbered(items)
    return Interactions(user_index, item_index, user_ids, item_ids, times)


def _numbered(names: list[str]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.fromiter(map(numbers.__getitem__, names), dtype=np.int64, count=len(names)), tuple(numbers)


def joined(parts: Sequence[Interactions]) -> Interactions:
    """Parts one after the other, e.g. what was set aside to train and to test; times count if all parts have them."""
    if len(parts) == 1:
        return parts[0]
    columns = [
        (np.array(part.user_ids, dtype=object)[part.users], np.array(part.item_ids, dtype=object)[part.items])
        for part in parts
    ]
    users, items = (np.concatenate(column).tolist() for column in zip(*columns, strict=True))
    times = [part.times for part in parts if part.times is not None]
    whole = from_columns(users, items, np.concatenate(times) if len(times) == len(parts) else None)
    return replace(whole, remarks=tuple(remark for part in parts for remark in part.remarks))
