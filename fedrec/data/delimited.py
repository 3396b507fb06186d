"""Tables in text files: delimited, with or without a header, and sequences of items, a line for each user."""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from operator import itemgetter
from pathlib import Path

from fedrec.data.interactions import DataError
from fedrec.data.layout import WHITESPACE, Layout, cells_of, layout_of
from fedrec.data.table import SAMPLE_ROWS, Cells, Rows, Table
from fedrec.data.text import open_text, unpacked_suffix

_TABLES = {".csv", ".tsv", ".inter"}
"""Endings that promise one interaction a line."""
_SEQUENCES = ("user", "item")
_GROUPED = ("item", "user", "rating", "date")

Split = Callable[[Iterable[str], Layout], Iterator[list[str]]]
"""Makes rows of lines."""


def text_table(path: Path) -> Table:
    """The table in a text file, by what its first lines look like.

    Raises:
        DataError: not text.
    """
    with open_text(path) as lines:
        first = [line.rstrip("\r\n") for line in islice(lines, SAMPLE_ROWS)]
    layout = layout_of([line for line in first if line.strip()], is_table=unpacked_suffix(path) in _TABLES)
    if layout.is_sequences:
        name = f"{path}, a line for each user"
        return _with_sample(name, _SEQUENCES, _Reading(path, layout, _pairs).rows)
    if layout.is_grouped:
        return _with_sample(str(path), _GROUPED, _Reading(path, layout, _ungrouped).rows)
    reading = _Reading(path, layout, cells_of)
    names = next(cells_of(first, layout), []) if layout.has_header else None
    return _with_sample(str(path), None if names is None else tuple(names), reading.rows, reading.sample())


def _with_sample(
    name: str, names: tuple[str, ...] | None, rows: Rows, sample: Sequence[Sequence[str]] | None = None
) -> Table:
    if sample is None and names is not None:
        sample = [cells for _, cells in islice(rows(range(len(names))), SAMPLE_ROWS)]
    return Table(name, names, sample or [], rows)


class _Reading:
    """Goes through a file from its first row."""

    def __init__(self, path: Path, layout: Layout, split: Split) -> None:
        self._path, self._layout, self._split = path, layout, split

    def sample(self) -> list[list[str]]:
        """The first rows, whole."""
        with open_text(self._path) as lines:
            return list(islice((row for _, row in self._all(lines)), SAMPLE_ROWS))

    def rows(self, positions: Sequence[int]) -> Iterator[Cells]:
        """See `Rows`."""
        needed = max(positions) + 1
        cells = itemgetter(*positions)
        with open_text(self._path) as lines:
            for line, row in self._all(lines):
                if len(row) < needed:
                    problem = f"{len(row)} columns, at least {needed} were expected"
                    raise DataError(f"{self._path}, line {line}: {problem}")
                yield line, cells(row)

    def _all(self, lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
        line = 0
        try:
            for line, row in enumerate(self._split(lines, self._layout), 1):
                # An empty line is often the last one; the header is no row.
                if any(row) and not (line == 1 and self._layout.has_header):
                    yield line, row
        except csv.Error as error:
            raise DataError(f"{self._path}, line {line + 1}: {error}") from error


def _pairs(lines: Iterable[str], layout: Layout) -> Iterator[list[str]]:
    """`user item item ...` as a row for each item."""
    delimiter = None if layout.delimiter == WHITESPACE else layout.delimiter
    for words in (line.split(delimiter) for line in lines):
        yield from ([words[0], item.strip()] for item in words[1:])


def _ungrouped(lines: Iterable[str], layout: Layout) -> Iterator[list[str]]:
    """`item:` and then `user,rating,date` as rows of `item,user,rating,date`."""
    item = ""
    for line in lines:
        text = line.rstrip("\r\n")
        if text.endswith(":"):
            item = text[:-1]
        else:
            yield [item, *text.split(layout.delimiter)]
