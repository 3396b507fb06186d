"""What the person did. It is read to train and to recommend, and never leaves the device."""

import math
from collections.abc import Iterable
from operator import index
from typing import SupportsIndex

import numpy as np

from fedrec_recipes.recipe import History
from fedrec_sdk.store.database import StoreDatabase


class Interactions:
    """The person's interactions."""

    def __init__(self, database: StoreDatabase) -> None:
        self._database = database

    def add(self, interactions: Iterable[tuple[SupportsIndex, float | None]]) -> None:
        """Append (item, seconds since the epoch) in order; all of them or none.

        Raises:
            TypeError: an item that is no integer.
            ValueError: a negative item, or a time that is not finite.
        """
        rows = [(index(item), None if time is None else float(time)) for item, time in interactions]
        for item, time in rows:
            if item < 0 or (time is not None and not math.isfinite(time)):
                raise ValueError("items are numbers from 0, times are finite seconds since the epoch")
        with self._database.transaction() as tx:
            tx.executemany("INSERT INTO interaction (item, time) VALUES (?, ?)", rows)

    def add_one(self, item: SupportsIndex, time: float | None, *, now: float) -> None:
        """Append one; without a time it happens now, after all others, also where the clock was set back meanwhile.

        Raises:
            TypeError, ValueError: as `add`.
        """
        if time is None:
            with self._database.transaction() as tx:
                (time,) = tx.execute("SELECT max(?, coalesce(max(time), ?)) FROM interaction", (now, now)).fetchone()
        self.add([(item, time)])

    def history(self) -> History:
        """All interactions, oldest first.

        Ordered by time, those of the same moment as they were recorded. If any has no time, all are
        in the order of recording and the history has no times.
        """
        with self._database.transaction() as tx:
            rows = tx.execute("SELECT item, time FROM interaction ORDER BY sequence").fetchall()
        items = np.array([item for item, _ in rows], dtype=np.int64)
        if any(time is None for _, time in rows):
            return History(items)
        times = np.array([time for _, time in rows], dtype=np.float64)
        order = np.argsort(times, kind="stable")
        return History(items[order], times[order])

    def clear(self) -> None:
        """Forget all interactions: they are overwritten."""
        with self._database.transaction(is_erasing=True) as tx:
            tx.execute("DELETE FROM interaction")


def with_times(history: History | Iterable[SupportsIndex]) -> list[tuple[SupportsIndex, float | None]]:
    """Interactions one by one, for `Interactions.add`; those without times have None."""
    if not isinstance(history, History):
        return [(item, None) for item in history]
    times = [None] * len(history.items) if history.times is None else history.times.tolist()
    return list(zip(history.items.tolist(), times, strict=True))
