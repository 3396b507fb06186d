"""Interactions from wherever they are: a file of any known format, or a folder that holds one."""

from pathlib import Path

from fedrec.data.interactions import DataError, Interactions
from fedrec.data.movielens import read_ratings
from fedrec.data.sequences import read_sequences
from fedrec.data.tabular import Columns, read_csv, read_parquet

KNOWN_FILES = ("ratings.csv", "ratings.dat", "u.data", "*.inter", "*.sequences.txt", "interactions.*")
"""What is looked for in a folder, in this order."""


def read_interactions(path: Path) -> Interactions:
    """Read a file by its name, or the first of `KNOWN_FILES` in a folder.

    `.csv` with MovieLens columns (`userId`, `movieId`, `timestamp`) or with `user`, `item` and perhaps
    `time`; `.parquet` with the latter; `.dat`, `.data`, `.inter` as MovieLens and RecBole write them;
    `.txt` as sequences, `user item item ...`.

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
            return _read_csv(path)
        case ".parquet":
            return read_parquet(path, Columns())
        case ".dat" | ".data" | ".inter":
            return read_ratings(path)
        case ".txt":
            return read_sequences(path)
    raise DataError(f"{path}: not a .csv, .parquet, .dat, .data, .inter or .txt file")


def _read_csv(path: Path) -> Interactions:
    with path.open(encoding="utf-8") as lines:
        header = lines.readline().rstrip("\r\n").split(",")
    if {"userId", "movieId"} <= set(header):
        return read_ratings(path)
    return read_csv(path, Columns(time="time" if "time" in header else None))
