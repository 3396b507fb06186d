"""How a text file is laid out: what is between the cells, whether there is a header, or one line for each user."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from fedrec.data import headers
from fedrec.data.clock import look_like_times

WHITESPACE = ""
"""Runs of blanks and tabs between cells."""
_DELIMITERS = ("::", "\t", ";", "|", ",")
IMPRESSION = ("impression", "user", "time", "history", "shown")
"""Cells of a line of `Shape.IMPRESSIONS`."""
_ENOUGH = 0.9
"""Share of the lines that have as many cells as most."""


class Shape(Enum):
    """What the lines of a file are."""

    TABLE = "a line for each interaction"
    SEQUENCES = "a line for each user"
    """`user item item ...`"""
    COUNTED = "a line for each user, without a name, that begins with the number of items"
    """`3 item item item` (CiteULike)"""
    GROUPED = "a group of lines for each item"
    """`item:`, and then lines `user,rating,date` (the Netflix Prize)"""
    IMPRESSIONS = "a line for each list of items that was shown"
    """`impression, user, time, items chosen before, items shown`, these with `-1` or `-0` behind them (MIND)"""


@dataclass(frozen=True)
class Layout:
    """What is between the cells of a line, and what the lines are."""

    delimiter: str
    has_header: bool = False
    shape: Shape = Shape.TABLE
    is_quoted: bool = True
    """Quotation marks enclose cells, instead of being a part of them."""


def layout_of(lines: Sequence[str], *, is_table: bool) -> Layout:
    """The layout of a file that begins with these lines.

    Args:
        lines: Without ends of lines; empty ones are left out.
        is_table: The name of the file says that it is no file of sequences.
    """
    if not lines:
        return Layout(",")
    if lines[0].endswith(":") and lines[0][:-1].isdecimal():
        return Layout(",", shape=Shape.GROUPED)
    if all(map(_is_impression, lines)):
        return Layout("\t", shape=Shape.IMPRESSIONS)
    even = [each for each in _DELIMITERS if _evenness(lines, each) >= _ENOUGH]
    delimiter = max(even, key=lambda each: _width(lines, each)) if even else _most_frequent(lines[0], is_table=is_table)
    is_quoted = delimiter != "\t" or not any(_is_stray(cell) for line in lines for cell in line.split("\t"))
    layout = Layout(delimiter, is_quoted=is_quoted)
    rows = list(cells_of(lines, layout))
    has_header = _has_header(rows) or (is_table and _is_unlike(rows))
    if not is_table and not has_header and _are_sequences(rows, is_even=bool(even)):
        return Layout(delimiter, shape=Shape.COUNTED if _are_counted(rows) else Shape.SEQUENCES)
    return Layout(delimiter, has_header=has_header, is_quoted=is_quoted)


def cells_of(lines: Iterable[str], layout: Layout) -> Iterator[list[str]]:
    """The cells of each line, or of each record where quoted cells go over several lines."""
    if layout.delimiter == WHITESPACE:
        return (line.split() for line in lines)
    if len(layout.delimiter) > 1:
        return (line.rstrip("\r\n").split(layout.delimiter) for line in lines)
    if layout.is_quoted:
        return csv.reader(lines, delimiter=layout.delimiter, skipinitialspace=True)
    return csv.reader(lines, delimiter=layout.delimiter, quoting=csv.QUOTE_NONE)


def _is_impression(line: str) -> bool:
    cells = line.split("\t")
    return len(cells) == len(IMPRESSION) and all(shown[-2:] in ("-0", "-1") for shown in cells[-1].split() or [""])


def _width(lines: Sequence[str], delimiter: str) -> int:
    return len(next(iter(cells_of(lines[:1], Layout(delimiter)))))


def _evenness(lines: Sequence[str], delimiter: str) -> float:
    """The share of lines that have as many cells as the first, if it has more than one."""
    if delimiter not in lines[0]:
        return 0.0
    widths = [len(row) for row in cells_of(lines, Layout(delimiter))]
    return widths.count(widths[0]) / len(widths)


def _most_frequent(line: str, *, is_table: bool) -> str:
    """What occurs in a line; blanks, if nothing else does, and for tabs in a file of sequences."""
    counts = {each: line.count(each) for each in _DELIMITERS if is_table or each != "\t"}
    best = max(counts, key=lambda each: counts[each])
    return best if counts[best] else WHITESPACE


def _is_stray(cell: str) -> bool:
    return cell.startswith('"') and not (len(cell) > 1 and cell.rstrip("\r\n").endswith('"'))


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """The first row has names that are known, or text above numbers or times."""
    first, others = rows[0], rows[1:200]
    if any(map(_is_value, first)):
        return False
    if any(headers.users_and_items(first, what) for what in ("user", "item")):
        return True
    for position, cell in enumerate(first):
        below = [row[position] for row in others if len(row) > position]
        if below and cell and all(map(_is_value, below)):
            return len(first) == len(others[0])
    return False


def _is_unlike(rows: Sequence[Sequence[str]]) -> bool:
    """Nothing of the first row comes again, in columns where something does: the user of a first row would."""
    first, others = rows[0], [row for row in rows[1:] if len(row) == len(rows[0])]
    columns = list(zip(*others, strict=True))
    return any(len(set(column)) < len(column) for column in columns) and not any(
        _is_value(cell) or cell in column for cell, column in zip(first, columns, strict=False)
    )


def _is_value(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return look_like_times([cell])
    return True


def _are_sequences(rows: Sequence[Sequence[str]], *, is_even: bool) -> bool:
    """Lines of different lengths, or of as many items for every user, who has one line."""
    rows = [row for row in rows if row]
    widths = Counter(len(row) for row in rows)
    if len(widths) > 1 and widths.most_common(1)[0][1] < _ENOUGH * len(rows):
        return True
    has_one_line_each = len({row[0] for row in rows}) == len(rows)
    return not is_even and has_one_line_each and max(widths) > 2


def _are_counted(rows: Sequence[Sequence[str]]) -> bool:
    """Every line begins with how many items it has, as no list of names of users would."""
    return all(row[0] == str(len(row) - 1) for row in rows if row)
