"""Rows of a file, whatever its format: what the search for users, items and times works on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from fedrec.data.interactions import DataError

SAMPLE_ROWS = 2000
"""Rows at the beginning that tell what a column holds."""
MISSING = frozenset({"", "NA", "nan", "NaN", "null", "NULL", "None", "\\N", "<NA>"})
"""Cells without a value, as common tools write them."""

Cells = tuple[int, tuple[str, ...]]
"""The line of a row, from 1, and the cells that were asked for."""


class Rows(Protocol):
    """Goes through a file once more."""

    def __call__(self, positions: Sequence[int]) -> Iterator[Cells]:
        """All rows with the cells at these positions, from 0.

        Raises:
            DataError: a row has fewer cells.
        """


@dataclass(frozen=True)
class Table:
    """A file of rows."""

    name: str
    """For messages: usually the path."""
    names: tuple[str, ...] | None
    """Of the columns; None without a header."""
    sample: Sequence[Sequence[str]]
    """The first rows."""
    rows: Rows

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.names) if self.names is not None else max((len(row) for row in self.sample), default=0)

    def called(self, position: int) -> str:
        """What to call a column in a message."""
        return f"column {position + 1}" if self.names is None else f"'{self.names[position]}'"

    def described(self) -> str:
        """All columns, for a message."""
        if self.names is not None:
            return f"the columns are {', '.join(self.names)}"
        first = ", ".join(self.sample[0]) if self.sample else "nothing"
        return f"there is no header, and the first row is {first}"

    def values(self, position: int) -> list[str]:
        """What the sample has in a column."""
        return [row[position] for row in self.sample if len(row) > position and row[position] not in MISSING]

    def position_of(self, column: str) -> int:
        """Where the column is that was asked for by name, or by number from 1.

        Raises:
            DataError: there is none.
        """
        if self.names is not None and column in self.names:
            return self.names.index(column)
        if column.isdecimal() and 1 <= int(column) <= self.width:
            return int(column) - 1
        raise DataError(f"{self.name}: no column {column!r}: {self.described()}")
