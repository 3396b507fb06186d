"""Tables of records that may hold lists: objects of JSON, rows of Parquet."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Any

from fedrec.data import headers
from fedrec.data.table import SAMPLE_ROWS, Cells, Table

Record = dict[str, Any]
Records = Callable[[], Iterator[tuple[int, Record]]]
"""Goes through all records once more, each with its line, from 1."""


def record_table(name: str, records: Records) -> Table:
    """The table of records; fields that hold lists or objects are no columns.

    But where no other field holds one item, a list that is named as items are, or the only list, is somebody's history,
    oldest item first, and lists as long as it say more of each item, such as when. A list of objects is a history of
    events. A record of nothing but lists has a history for each user.
    """
    some = [found for _, found in islice(records(), SAMPLE_ROWS)]
    unfolding = _unfolding_of(some)
    first = list(islice(_unfolded(some, unfolding), SAMPLE_ROWS))
    names = tuple(dict.fromkeys(name for found in first for name, value in found.items() if is_plain(value)))

    def rows(positions: Sequence[int]) -> Iterator[Cells]:
        wanted = [names[position] for position in positions]
        for line, whole in records():
            for found in _unfolded([whole], unfolding):
                yield line, tuple(_text(found.get(name)) for name in wanted)

    return Table(name, names, [[_text(found.get(name)) for name in names] for found in first], rows)


def is_plain(value: Any) -> bool:
    """Whether a value fills a cell."""
    return value is None or isinstance(value, str | int | float | date)


@dataclass(frozen=True)
class _Unfolding:
    """What becomes a row for each of its elements."""

    lists: tuple[str, ...] = ()
    """Fields of as many elements each, the items first."""
    is_of_users: bool = False
    """Every field is a user, and holds their items."""


_WHOLE = _Unfolding()


def _unfolding_of(records: Sequence[Record]) -> _Unfolding:
    values = [(name, value) for found in records for name, value in found.items()]
    lists = tuple(dict.fromkeys(name for name, value in values if isinstance(value, list) and value))
    plain = tuple(dict.fromkeys(name for name, value in values if is_plain(value)))
    if not lists or headers.users_and_items(plain, "item"):
        return _WHOLE
    if not plain and len(records) == 1 and len(lists) > 1 and not headers.users_and_items(lists, "item"):
        return _Unfolding(is_of_users=True)
    items = _items_among(lists, plain)
    if items is None:
        return _WHOLE
    alike = (each for each in lists if each != items and all(_are_as_long(found, items, each) for found in records))
    return _Unfolding((items, *alike))


def _items_among(lists: tuple[str, ...], plain: tuple[str, ...]) -> str | None:
    """The list that is named as items are, or else the only one where nothing else can be the item."""
    named = headers.users_and_items(lists, "item")
    if named:
        return lists[named[0]]
    known = {place for found in (headers.users_and_items(plain, "user"), headers.times(plain)) for place in found}
    return lists[0] if len(lists) == 1 and known == set(range(len(plain))) else None


def _are_as_long(found: Record, one: str, other: str) -> bool:
    return len(found.get(one) or ()) == len(found.get(other) or ())


def _unfolded(records: Iterable[Record], unfolding: _Unfolding) -> Iterator[Record]:
    for found in records:
        if unfolding.is_of_users:
            yield from ({"user": user, "item": item} for user, items in found.items() for item in items or ())
        elif not unfolding.lists:
            yield found
        else:
            yield from _elements(found, unfolding.lists)


def _elements(found: Record, lists: tuple[str, ...]) -> Iterator[Record]:
    """A record for each element; one that is an object brings its own fields."""
    for elements in zip(*(found.get(name) or () for name in lists), strict=False):
        row = {**found, **dict(zip(lists, elements, strict=True))}
        for each in elements:
            row |= each if isinstance(each, dict) else {}
        yield row


def _text(value: Any) -> str:
    return "" if value is None or not is_plain(value) else str(value)
