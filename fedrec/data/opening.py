"""Interactions from wherever they are: a file of any known format, or a folder that holds one."""

import csv
from pathlib import Path

from fedrec.data.headers import columns_of
from fedrec.data.interactions import DataError, Interactions
from fedrec.data.movielens import read_ratings
from fedrec.data.sequences import read_sequences
from fedrec.data.tabular import parquet_columns, read_csv, read_parquet

KNOWN_FILES = ("ratings.csv", "ratings.dat", "u.data", "*.inter", "*.sequences.txt", "interactions.*")
"""What is looked for in a folder, in this order."""


def read_interactions(path: Path) -> Interactions:
    """Read a file by its name, or the first of `KNOWN_FILES` in a folder.

    `.csv`, `.tsv`, `.inter` (RecBole) and `.parquet` by the names of their columns, such as `user`, `item`, `time` or
    `userId`, `movieId`, `timestamp`; without a time the rows of a user are in order. `.dat` and `.data` are `user item
    rating time` without a header, between `::`, commas or tabs; `.txt` are sequences, `user item item ...`.

    Raises:
        DataError: nothing there, or not one of these.
    """
    if path.is_dir():
        found = [file for pattern in KNOWN_FILES for file in sorted(path.glob(pattern))]
        if not found:
            raise DataError(f"{path}: none of {', '.join(KNOWN_FILES)}")
        path = found[0]
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    match path.suffix:
        case ".csv":
            return _read_with_header(path, ",")
        case ".tsv" | ".inter":
            return _read_with_header(path, "\t")
        case ".parquet":
            return read_parquet(path, columns_of(path, parquet_columns(path)))
        case ".dat" | ".data":
            return read_ratings(path)
        case ".txt":
            return read_sequences(path)
    raise DataError(f"{path}: not a .csv, .tsv, .parquet, .dat, .data, .inter or .txt file")


def _read_with_header(path: Path, delimiter: str) -> Interactions:
    with path.open(encoding="utf-8-sig", newline="") as lines:  # a byte order mark is no part of a name
        header = next(csv.reader(lines, delimiter=delimiter), [])
    return read_csv(path, columns_of(path, header), delimiter=delimiter, encoding="utf-8-sig")
