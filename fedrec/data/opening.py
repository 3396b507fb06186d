"""Interactions from wherever they are: a file of any known format, or a folder that holds one."""

import csv
from pathlib import Path

from fedrec.data.headers import columns_of
from fedrec.data.interactions import DataError, Interactions
from fedrec.data.movielens import read_ratings
from fedrec.data.sequences import read_sequences
from fedrec.data.tabular import parquet_columns, read_csv, read_parquet
from fedrec.data.text import open_text

KNOWN_FILES = ("ratings.csv", "ratings.dat", "u.data", "*.inter", "*.sequences.txt", "interactions.*")
"""What is looked for in a folder, in this order."""

_DELIMITERS = ",;\t|"
_UTF_8 = "utf-8-sig"  # a byte order mark is no part of a name


def read_interactions(path: Path) -> Interactions:
    """Read a file by its name, or the first of `KNOWN_FILES` in a folder.

    `.csv`, `.tsv`, `.inter` (RecBole) and `.parquet` by the names of their columns, such as `user`, `item`, `time` or
    `userId`, `movieId`, `timestamp`; without a time the rows of a user are in order. `.dat` and `.data` are `user item
    rating time` without a header, between `::`, commas or tabs; `.txt` are sequences, `user item item ...`. Text may be
    gzipped: `.csv.gz`. A header tells what is between the columns: comma, semicolon, tab or bar.

    Raises:
        DataError: nothing there, not one of these, or without an interaction.
    """
    if path.is_dir():
        found = [file for pattern in KNOWN_FILES for file in sorted(path.glob(pattern))]
        if not found:
            raise DataError(f"{path}: none of {', '.join(KNOWN_FILES)}")
        path = found[0]
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    interactions = _read_file(path)
    if len(interactions) == 0:
        raise DataError(f"{path}: no interactions")
    return interactions


def _read_file(path: Path) -> Interactions:
    match (path.with_suffix("") if path.suffix == ".gz" else path).suffix:
        case ".csv" | ".tsv" | ".inter":
            return _read_with_header(path)
        case ".parquet":
            return read_parquet(path, columns_of(path, parquet_columns(path)))
        case ".dat" | ".data":
            return read_ratings(path)
        case ".txt":
            return read_sequences(path)
    raise DataError(f"{path}: not a .csv, .tsv, .parquet, .dat, .data, .inter or .txt file")


def _read_with_header(path: Path) -> Interactions:
    with open_text(path, _UTF_8) as lines:
        first = lines.readline()
    delimiter = max(_DELIMITERS, key=first.count)
    header = next(csv.reader([first], delimiter=delimiter), [])
    return read_csv(path, columns_of(path, header), delimiter=delimiter, encoding=_UTF_8)
