"""Interactions from delimited text and from Parquet."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fedrec.data.interactions import DataError, Interactions, from_columns


@dataclass(frozen=True)
class Columns:
    """Which column is what: names from the header, or positions from 0 in a file without one."""

    user: str | int = "user"
    item: str | int = "item"
    time: str | int | None = "time"
    """None when the rows of a user are in time order already."""


def read_csv(path: Path, columns: Columns, *, delimiter: str = ",", encoding: str = "utf-8") -> Interactions:
    """Read a delimited text file; `delimiter` may have several characters, e.g. `::`.

    The first line is a header when the columns are given by name.

    Raises:
        DataError: a column is missing, a line is short or a time is not a number.
    """
    with path.open(encoding=encoding, newline="") as lines:
        rows = _split_rows(lines, delimiter)
        positions = _positions(path, columns, rows)
        first_line = 2 if isinstance(columns.user, str) else 1
        return _collect(path, rows, positions, first_line)


def read_parquet(path: Path, columns: Columns) -> Interactions:
    """Read a Parquet file; needs pyarrow.

    Raises:
        DataError: a column is missing.
    """
    from pyarrow import parquet  # noqa: PLC0415 - optional, and slow to import

    names = [str(name) for name in (columns.user, columns.item, columns.time) if name is not None]
    missing = set(names) - set(parquet.read_schema(path).names)
    if missing:
        raise DataError(f"{path}: no column {', '.join(sorted(missing))}")
    table = parquet.read_table(path, columns=names)
    users, items = ([str(value) for value in table.column(name).to_pylist()] for name in names[:2])
    times = table.column(names[2]).to_numpy().astype(np.float64) if columns.time is not None else None
    return from_columns(users, items, times)


def parquet_columns(path: Path) -> list[str]:
    """The names of a Parquet file's columns; needs pyarrow.

    Raises:
        DataError: not a Parquet file.
    """
    from pyarrow import ArrowInvalid, parquet  # noqa: PLC0415 - optional, and slow to import

    try:
        return list(parquet.read_schema(path).names)
    except ArrowInvalid as error:
        raise DataError(f"{path}: {error}") from error


def _split_rows(lines: Iterator[str], delimiter: str) -> Iterator[Sequence[str]]:
    if len(delimiter) == 1:
        return csv.reader(lines, delimiter=delimiter)
    return (line.rstrip("\r\n").split(delimiter) for line in lines)


def _positions(path: Path, columns: Columns, rows: Iterator[Sequence[str]]) -> list[int]:
    """Positions of user, item and, if there is one, time; reads the header when there are names."""
    wanted = [column for column in (columns.user, columns.item, columns.time) if column is not None]
    if not isinstance(columns.user, str):
        return [int(column) for column in wanted]
    header = list(next(rows, []))
    for column in wanted:
        if column not in header:
            raise DataError(f"{path}: no column {column!r} in the header {header}")
    return [header.index(str(column)) for column in wanted]


def _collect(path: Path, rows: Iterator[Sequence[str]], positions: list[int], first_line: int) -> Interactions:
    users: list[str] = []
    items: list[str] = []
    times: list[float] = []
    for line, row in enumerate(rows, first_line):
        if not any(row):
            continue  # an empty line, often the last one
        try:
            users.append(row[positions[0]])
            items.append(row[positions[1]])
            if len(positions) == 3:
                times.append(float(row[positions[2]]))
        except (IndexError, ValueError) as error:
            raise DataError(f"{path}, line {line}: {error}") from error
    return from_columns(users, items, np.asarray(times) if len(positions) == 3 else None)
