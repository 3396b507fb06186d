"""From rows to interactions, and what was taken for what."""

from array import array
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from fedrec.data.choice import ColumnChoice
from fedrec.data.clock import Clock
from fedrec.data.interactions import DataError, Interactions
from fedrec.data.roles import Roles, roles_of
from fedrec.data.table import MISSING, Table


def interactions_of(table: Table, choice: ColumnChoice) -> Interactions:
    """Read a table: rows without a user, an item or a time, or with too low a rating, are left out.

    Raises:
        DataError: columns that cannot be told, a short row, a time or a rating that is none.
    """
    roles = roles_of(table, choice)
    if choice.at_least is not None and roles.rating is None:
        raise DataError(f"{table.name}: no column for the rating: {table.described()}; say which with --rating NAME")
    return _Collector(table, roles, choice).collect()


class _Collector:
    """Numbers users and items as they appear, so that no row is kept as text."""

    def __init__(self, table: Table, roles: Roles, choice: ColumnChoice) -> None:
        self._table, self._roles, self._choice = table, roles, choice
        self._users: dict[str, int] = {}
        self._items: dict[str, int] = {}
        self._rows = array("q"), array("q")
        self._clock = None if roles.time is None else Clock(choice.time_format)
        self._without_value = self._too_low = self._no_interaction = 0

    def collect(self) -> Interactions:
        roles = self._roles
        rating = roles.rating if self._choice.at_least is not None else None
        wanted = (roles.user, roles.item, roles.time, rating, roles.label)
        positions = [each for each in wanted if each is not None]
        place = {what: positions.index(what) for what in (roles.time, rating, roles.label) if what is not None}
        time_at, rating_at, label_at = (
            None if what is None else place[what] for what in (roles.time, rating, roles.label)
        )
        for line, cells in self._table.rows(positions):
            if cells[0] in MISSING or cells[1] in MISSING or (time_at is not None and cells[time_at] in MISSING):
                self._without_value += 1
            elif rating_at is not None and not self._is_enough(cells[rating_at], line):
                self._too_low += 1
            elif label_at is not None and cells[label_at] not in MISSING and float(cells[label_at]) == 0:
                self._no_interaction += 1
            else:
                self._rows[0].append(self._users.setdefault(cells[0], len(self._users)))
                self._rows[1].append(self._items.setdefault(cells[1], len(self._items)))
                if self._clock is not None and time_at is not None:
                    self._clock.add(cells[time_at], line)
        return self._interactions()

    def _is_enough(self, rating: str, line: int) -> bool:
        if rating in MISSING or self._choice.at_least is None:
            return False
        try:
            return float(rating) >= self._choice.at_least
        except ValueError as error:
            raise DataError(f"{self._table.name}, line {line}: the rating {rating!r} is not a number") from error

    def _interactions(self) -> Interactions:
        users, items = (np.array(numbers, dtype=np.int64) for numbers in self._rows)
        times, unit = (None, "") if self._clock is None else self._clock.seconds(self._table.name)
        if times is not None and not np.isfinite(times).all():
            raise DataError(f"{self._table.name}: a time is not a finite number")
        return Interactions(
            users, items, tuple(self._users), tuple(self._items), times, tuple(self._remarks(times, unit))
        )

    def _remarks(self, times: NDArray[np.float64] | None, unit: str) -> list[str]:
        roles = self._roles
        found = [f"users from {self._source(roles.user)}", f"items from {self._source(roles.item)}"]
        if roles.time is None or times is None:
            found.append("no times: rows are in the order of time")
        else:
            found.append(f"times from {self._source(roles.time)} ({unit}{_range(times)})")
        remarks = [f"{self._table.name}: {', '.join(found)}."]
        if roles.rating is not None and self._choice.at_least is None:
            called = self._table.called(roles.rating)
            remarks.append(f"Any rating in {called} is an interaction: --at-least R leaves lower ones out.")
        counts = (
            (self._without_value, "without a value"),
            (self._too_low, f"with a rating below {self._choice.at_least or 0:g}"),
            (self._no_interaction, f"with 0 in {self._table.called(roles.label or 0)}, which are no interactions"),
        )
        remarks += [f"{count:,} rows {why} were left out." for count, why in counts if count]
        return remarks

    def _source(self, position: int) -> str:
        by_content = " by its content" if position in self._roles.by_content else ""
        return f"{self._table.called(position)}{by_content}"


def _range(times: NDArray[np.float64]) -> str:
    """The days between which all is, where that can be told."""
    if not len(times) or times.min() < 0 or not 1e8 < times.max() < 1e11:
        return ""
    first, last = (datetime.fromtimestamp(float(each), UTC).date() for each in (times.min(), times.max()))
    return f", {first} to {last}"
