"""Interactions as JSON: an object a line, as Amazon, Yelp and Goodreads publish them, or one array of objects."""

import ast
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from fedrec.data.interactions import DataError
from fedrec.data.records import Record, record_table
from fedrec.data.table import Table
from fedrec.data.text import open_text


def json_table(path: Path) -> Table:
    """The table of a file of JSON objects.

    Raises:
        DataError: not JSON.
    """
    return record_table(str(path), partial(_objects, path))


def holds_objects(path: Path) -> bool:
    """Whether a file of text is JSON, whatever it is called: its first line is an object.

    Raises:
        DataError: not text.
    """
    with open_text(path) as lines:
        first = lines.readline().strip()
    try:
        return first.startswith("{") and isinstance(_parsed(path, 1, first), dict)
    except DataError:
        return False


def _objects(path: Path) -> Iterator[tuple[int, Record]]:
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
