"""Tables in text files: delimited, with or without a header, and sequences of items, a line for each user."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import itemgetter
from pathlib import Path

from fedrec.data import unfolding
from fedrec.data.interactions import DataError
from fedrec.data.layout import Layout, Shape, cells_of, layout_of
from fedrec.data.table import SAMPLE_ROWS, Cells, Rows, Table
from fedrec.data.text import open_text, unpacked_suffix

_TABLES = {".csv", ".tsv", ".inter"}
"""Endings that promise one interaction a line."""


def text_table(path: Path) -> Table:
    """The table in a text file, by what its first lines look like.

    Raises:
        DataError: not text.
    """
    with open_text(path) as lines:
        first = [line.rstrip("\r\n") for line in islice(lines, SAMPLE_ROWS)]
    layout = layout_of([line for line in first if line.strip()], is_table=unpacked_suffix(path) in _TABLES)
    reading = _Reading(path, layout)
    if layout.shape is not Shape.TABLE:
        return _with_sample(f"{path}, {layout.shape.value}", unfolding.NAMES[layout.shape], reading.rows)
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

    def __init__(self, path: Path, layout: Layout) -> None:
        self._path, self._layout = path, layout

    def sample(self) -> list[Sequence[str]]:
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

    def _all(self, lines: Iterable[str]) -> Iterator[tuple[int, Sequence[str]]]:
        line = 0
        try:
            for line, row in enumerate(unfolding.rows_of(lines, self._layout), 1):
                # An empty line is often the last one; the header is no row.
                if any(row) and not (line == 1 and self._layout.has_header):
                    yield line, row
        except csv.Error as error:
            raise DataError(f"{self._path}, line {line + 1}: {error}") from error
