"""Interactions in Parquet files; needs pyarrow."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any

from fedrec.data import headers
from fedrec.data.interactions import DataError
from fedrec.data.records import Record, record_table
from fedrec.data.table import SAMPLE_ROWS, Cells, Table


def parquet_table(path: Path) -> Table:
    """The table of a Parquet file; columns of structures are none, and those of lists as `record_table` says.

    Raises:
        DataError: not a Parquet file.
        ImportError: pyarrow is not installed.
    """
    from pyarrow import ArrowInvalid, parquet, types  # noqa: PLC0415 - optional, and slow to import

    try:
        schema = parquet.read_schema(path)
    except ArrowInvalid as error:
        raise DataError(f"{path}: {error}") from error
    names = tuple(field.name for field in schema if not types.is_nested(field.type))
    if len(names) < len(schema.names) and not headers.users_and_items(names, "item"):
        return record_table(str(path), partial(_records, path))

    def rows(positions: Sequence[int]) -> Iterator[Cells]:
        lines = count(1)
        wanted = [names[position] for position in positions]
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=list(dict.fromkeys(wanted))):
                columns = [_texts(batch.column(name)) for name in wanted]
                yield from zip(lines, zip(*columns, strict=True), strict=False)

    sample = [cells for _, cells in islice(rows(range(len(names))), SAMPLE_ROWS)] if names else []
    return Table(str(path), names, sample, rows)


def _records(path: Path) -> Iterator[tuple[int, Record]]:
    """The rows of a file as they are: slower than columns, and lists are only in them."""
    from pyarrow import parquet  # noqa: PLC0415 - optional, and slow to import

    lines = count(1)
    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches():
            yield from zip(lines, batch.to_pylist(), strict=False)


def _texts(column: Any) -> list[str]:
    from pyarrow import timestamp, types  # noqa: PLC0415 - optional, and slow to import

    if types.is_timestamp(column.type):
        # Python's dates end at microseconds.
        column = column.cast(timestamp("us", column.type.tz), safe=False)
        return ["" if value is None else value.isoformat() for value in column.to_pylist()]
    if types.is_date(column.type):
        return ["" if value is None else value.isoformat() for value in column.to_pylist()]
    return ["" if value is None else str(value) for value in column.to_pylist()]
