"""Interactions from delimited text and from Parquet."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from fedrec.data.interactions import DataError, Interactions, from_columns
from fedrec.data.text import open_text


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
        DataError: a column is missing, a line is short, or a time is neither a number nor ISO 8601.
    """
    with open_text(path, encoding) as lines:
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
    for name in names:
        if table.column(name).null_count:
            raise DataError(f"{path}: column {name!r} has {table.column(name).null_count} rows without a value")
    users, items = ([str(value) for value in table.column(name).to_pylist()] for name in names[:2])
    if columns.time is None:
        return from_columns(users, items)
    times = table.column(names[2]).to_numpy()
    is_date = np.issubdtype(times.dtype, np.datetime64)
    seconds = times.astype("datetime64[us]").astype(np.float64) / 1e6 if is_date else times.astype(np.float64)
    return from_columns(users, items, seconds)


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
        if len(row) <= max(positions):
            raise DataError(f"{path}, line {line}: {len(row)} columns, at least {max(positions) + 1} were expected")
        users.append(row[positions[0]])
        items.append(row[positions[1]])
        if len(positions) == 3:
            try:
                times.append(_seconds(row[positions[2]]))
            except ValueError as error:
                problem = f"the time {row[positions[2]]!r} is neither a number of seconds nor a date in ISO 8601"
                raise DataError(f"{path}, line {line}: {problem}") from error
    return from_columns(users, items, np.asarray(times) if len(positions) == 3 else None)


def _seconds(text: str) -> float:
    """Seconds since the epoch; a date without a time zone is in UTC."""
    try:
        return float(text)
    except ValueError:
        when = datetime.fromisoformat(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
