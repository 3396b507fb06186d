"""Interactions as JSON: an object a line, as Amazon, Yelp and Goodreads publish them, or one array of objects."""

import ast
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from fedrec.data.interactions import DataError
from fedrec.data.table import SAMPLE_ROWS, Cells, Table
from fedrec.data.text import open_text


def json_table(path: Path) -> Table:
    """The table of a file of JSON objects; fields that hold lists or objects are no columns.

    Raises:
        DataError: not JSON.
    """
    first = [found for _, found in islice(_objects(path), SAMPLE_ROWS)]
    names = tuple(dict.fromkeys(name for found in first for name, value in found.items() if _is_plain(value)))

    def rows(positions: Sequence[int]) -> Iterator[Cells]:
        wanted = [names[position] for position in positions]
        for line, found in _objects(path):
            yield line, tuple(_text(found.get(name)) for name in wanted)

    return Table(str(path), names, [[_text(found.get(name)) for name in names] for found in first], rows)


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with open_text(path) as lines:
        start = lines.readline()
        is_array = start.lstrip().startswith("[")
        lines.seek(0)
        records = enumerate(_array(path, lines.read()) if is_array else lines, 1)
        for line, record in records:
            found = record if is_array else _parsed(path, line, record)
            if found is None:
                continue
            if not isinstance(found, dict):
                raise DataError(f"{path}, line {line}: not a JSON object")
            yield line, found


def _array(path: Path, text: str) -> list[Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise DataError(f"{path}: not JSON: {error}") from error
    return list(found)


def _parsed(path: Path, line: int, text: str) -> Any:
    """An object; None for an empty line. Older files of reviews hold Python's notation in place of JSON."""
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        try:
            return ast.literal_eval(text.strip())
        except (ValueError, SyntaxError):
            raise DataError(f"{path}, line {line}: not JSON: {error}") from error


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def _text(value: Any) -> str:
    return "" if value is None or not _is_plain(value) else str(value)
