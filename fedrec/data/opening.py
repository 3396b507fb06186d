"""Interactions from wherever they are: a file of any known format, an archive, or a folder."""

import tempfile
from dataclasses import replace
from pathlib import Path

from fedrec.data import headers
from fedrec.data.archives import is_archive, unpack
from fedrec.data.choice import FOUND, ColumnChoice
from fedrec.data.collecting import interactions_of
from fedrec.data.delimited import text_table
from fedrec.data.folders import files_of
from fedrec.data.interactions import DataError, Interactions, joined
from fedrec.data.json_lines import holds_objects, json_table
from fedrec.data.parquet_files import parquet_table
from fedrec.data.table import Table
from fedrec.data.text import unpacked_suffix

_LARGEST_ARCHIVE_BYTES = 20 << 30


def read_interactions(path: Path, choice: ColumnChoice = FOUND) -> Interactions:
    """Read a file, an archive (zip or tar), or what a folder holds; `remarks` says what was taken for what.

    Tables are text (delimited by commas, semicolons, tabs, bars, `::` or blanks, with a header or without, packed by
    gzip, bzip2 or xz too), objects of JSON, or Parquet. Columns are found by their names, such as `user`, `item`,
    `time` or `userId`, `movieId`, `timestamp`, else by their content; without a time the rows of a user are in order.
    Text with lines of different lengths holds sequences, `user item item ...`.

    Raises:
        DataError: nothing there, columns that cannot be told (the message names the options that help), or no
            interaction.
    """
    if path.is_file() and is_archive(path):
        return _unpacked(path, choice)
    if not path.exists():
        raise DataError(f"{path}: no such file")
    files = files_of(path, _names_users_and_items) if path.is_dir() else [path]
    interactions = joined([interactions_of(_table(file), choice) for file in files])
    if len(interactions) == 0:
        raise DataError(f"{path}: no interactions")
    return interactions


def _unpacked(archive: Path, choice: ColumnChoice) -> Interactions:
    """Read what an archive holds; sentences name the archive in place of the folder that it was unpacked into."""
    with tempfile.TemporaryDirectory(prefix="fedrec-data-") as folder:
        try:
            found = read_interactions(unpack(archive, Path(folder), _LARGEST_ARCHIVE_BYTES), choice)
        except DataError as error:
            raise DataError(str(error).replace(folder, str(archive))) from error
    return replace(found, remarks=tuple(remark.replace(folder, str(archive)) for remark in found.remarks))


def _names_users_and_items(path: Path) -> bool:
    """Whether the columns of a file are called so that it must hold interactions."""
    try:
        names = _table(path).names or ()
    except DataError:
        return False
    return all(headers.users_and_items(names, what) for what in ("user", "item"))


def _table(path: Path) -> Table:
    match unpacked_suffix(path):
        case ".parquet" | ".pq":
            return parquet_table(path)
        case ".json" | ".jsonl" | ".ndjson":
            return json_table(path)
    return json_table(path) if holds_objects(path) else text_table(path)
