"""Which column holds users, items, times and ratings: as asked for, else by its name, else by its content."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite

from fedrec.data import headers
from fedrec.data.choice import ColumnChoice
from fedrec.data.clock import look_like_times
from fedrec.data.interactions import DataError
from fedrec.data.table import Table

_USUAL_WIDTH = 4
"""`user item rating time`, as MovieLens and many after it have them."""
_MOST_RATINGS = 21
_LARGEST_RATING = 100.0
_LONGEST_ID = 200
_ASIN = re.compile(r"(B[0-9A-Z]{9}|[0-9]{9}[0-9X])")


@dataclass(frozen=True)
class Roles:
    """Positions of columns, from 0."""

    user: int
    item: int
    time: int | None
    """None when the rows of a user are in the order of time already."""
    rating: int | None
    label: int | None
    """1 in rows that are interactions, 0 in those that are none; None where every row is one."""
    by_content: frozenset[int] = frozenset()
    """What no name told, and its content did."""


def roles_of(table: Table, choice: ColumnChoice) -> Roles:
    """Find the columns.

    Raises:
        DataError: there are none, or several that may be meant; the message says which option to give.
    """
    found = _by_name(table, choice)
    known = set(found.values())
    if "time" not in found:
        found |= _time_by_content(table, set(found.values()))
    if not {"user", "item"} <= found.keys():
        found |= _ids_by_content(table, found)
    if "rating" not in found and table.names is None:
        found |= _rating_by_content(table, set(found.values()))
    return Roles(
        user=found["user"],
        item=found["item"],
        time=found.get("time"),
        rating=found.get("rating"),
        label=found.get("label"),
        by_content=frozenset(set(found.values()) - known),
    )


def _by_name(table: Table, choice: ColumnChoice) -> dict[str, int]:
    """What was asked for, and what a name tells."""
    names = table.names or ()
    asked = {"user": choice.user, "item": choice.item, "time": choice.time, "rating": choice.rating}
    found = {what: table.position_of(column) for what, column in asked.items() if column is not None}
    free = set(range(table.width)) - set(found.values())
    flags = [each for each in headers.labels(names) if _are_flags(table.values(each))]
    named = {
        "user": headers.users_and_items(names, "user"),
        "item": headers.users_and_items(names, "item"),
        "time": headers.times(names),
        "rating": headers.ratings(names),
        "label": flags,
    }
    for what, positions in named.items():
        candidates = [each for each in positions if each in free]
        best = next((each for each in candidates if table.values(each)), next(iter(candidates), None))
        if what not in found and best is not None:
            twins = [name for name in names if headers.plain(name) == headers.plain(names[best])]
            if len(twins) > 1:
                raise DataError(f"{table.name}: columns {', '.join(twins)} for the {what}: say which with --{what}")
            found[what] = best
    return found


def _time_by_content(table: Table, taken: set[int]) -> dict[str, int]:
    """The only column of dates or clock readings, or else the last of four columns, as MovieLens has it."""
    found = [each for each in range(table.width) if each not in taken and look_like_times(table.values(each))]
    last = table.width - 1
    is_usual = table.names is None and table.width == _USUAL_WIDTH
    is_usual = is_usual and all(_are_numbers(table.values(each)) for each in (last - 1, last))
    if is_usual and (not found or last in found):
        found = [last]
    if table.names is None and len(found) > 1:
        raise DataError(
            f"{table.name}: columns {', '.join(str(each + 1) for each in found)} look like times, and "
            f"{table.described()}: say which with --time {found[-1] + 1}, and --user and --item too"
        )
    return {"time": found[0]} if len(found) == 1 and found[0] not in taken else {}


def _ids_by_content(table: Table, known: dict[str, int]) -> dict[str, int]:
    """Users and items among the columns that hold ids; the users' comes first, as is the custom."""
    missing = [what for what in ("user", "item") if what not in known]
    ids = [each for each in range(table.width) if each not in known.values() and _are_ids(table.values(each))]
    # Without a header the first ids are taken, by custom; names that nobody knows may mean anything.
    if len(ids) < len(missing) or (table.names is not None and len(ids) > len(missing)):
        hints = " ".join(f"--{what} NAME" for what in missing)
        raise DataError(
            f"{table.name}: no column for the {' and the '.join(missing)}: {table.described()}; say which with {hints}"
        )
    if len(missing) == 2 and _are_asins(table.values(ids[0])) and not _are_asins(table.values(ids[1])):
        ids[:2] = ids[1::-1]  # Amazon's ratings of 2018 begin with the product
    return dict(zip(missing, ids, strict=False))


def _rating_by_content(table: Table, taken: set[int]) -> dict[str, int]:
    free = [each for each in range(table.width) if each not in taken and _are_ratings(table.values(each))]
    return {"rating": free[0]} if free else {}


def _are_numbers(values: Sequence[str]) -> bool:
    return bool(values) and all(_number(value) is not None for value in values)


def _are_ratings(values: Sequence[str]) -> bool:
    numbers = {_number(value) for value in values}
    return 1 < len(numbers) <= _MOST_RATINGS and all(n is not None and -1 <= n <= _LARGEST_RATING for n in numbers)


def _are_flags(values: Sequence[str]) -> bool:
    return bool(values) and {_number(value) for value in values} <= {0.0, 1.0}


def _are_ids(values: Sequence[str]) -> bool:
    """Neither measurements, nor dates, nor the numbers of rows, nor text."""
    if not values or any(len(value) > _LONGEST_ID for value in values):
        return False
    numbers = [number for value in values if (number := _number(value)) is not None]
    if len(numbers) < len(values):
        return not look_like_times(values)
    is_numbering = len(numbers) > 2 and all(b - a == 1 for a, b in pairwise(numbers))
    return not is_numbering and all(number == int(number) for number in numbers)


def _are_asins(values: Sequence[str]) -> bool:
    return bool(values) and all(_ASIN.fullmatch(value) for value in values)


def _number(text: str) -> float | None:
    """A finite number, or None."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None
