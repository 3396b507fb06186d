"""Interactions as JSON: an object a line, as Amazon, Yelp and Goodreads publish them, or one array of objects."""

import ast
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from fedrec.data import headers
from fedrec.data.interactions import DataError
from fedrec.data.table import SAMPLE_ROWS, Cells, Table
from fedrec.data.text import open_text


def json_table(path: Path) -> Table:
    """The table of a file of JSON objects; fields that hold lists or objects are no columns.

    But where a list alone is named as items are, each object is somebody's history, oldest item first.

    Raises:
        DataError: not JSON.
    """
    objects = [found for _, found in islice(_objects(path), SAMPLE_ROWS)]
    items = _list_of_items(objects)
    first = list(islice(_unfolded(objects, items), SAMPLE_ROWS))
    names = tuple(dict.fromkeys(name for found in first for name, value in found.items() if _is_plain(value)))

    def rows(positions: Sequence[int]) -> Iterator[Cells]:
        wanted = [names[position] for position in positions]
        for line, whole in _objects(path):
            for found in _unfolded([whole], items):
                yield line, tuple(_text(found.get(name)) for name in wanted)

    return Table(str(path), names, [[_text(found.get(name)) for name in names] for found in first], rows)


def _list_of_items(objects: Sequence[dict[str, Any]]) -> str | None:
    """The field that lists a person's items; None where another holds one item, or none is named so."""
    plain, lists = (
        tuple(dict.fromkeys(name for found in objects for name, value in found.items() if is_kind(value)))
        for is_kind in (_is_plain, _is_list)
    )
    named = headers.users_and_items(lists, "item")
    return lists[named[0]] if named and not headers.users_and_items(plain, "item") else None


def _unfolded(objects: Iterable[dict[str, Any]], items: str | None) -> Iterator[dict[str, Any]]:
    """An object for each of the items."""
    for found in objects:
        if items is None:
            yield found
        else:
            yield from ({**found, items: item} for item in found.get(items) or ())


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


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_plain, value))


def _text(value: Any) -> str:
    return "" if value is None or not _is_plain(value) else str(value)
