"""The MovieLens file formats (https://grouplens.org/datasets/movielens/), and RecBole's `.inter`."""

import csv
from pathlib import Path

from fedrec.data.interactions import Interactions
from fedrec.data.tabular import Columns, read_csv


def read_ratings(path: Path) -> Interactions:
    """Read `ratings.csv` (latest), `ratings.dat` (1M, 10M), `u.data` (100K) or `*.inter` (RecBole).

    Any rating, whatever its value, is an interaction.

    Raises:
        DataError: a line does not have the columns of its format.
    """
    if path.suffix == ".csv":
        return read_csv(path, Columns("userId", "movieId", "timestamp"))
    if path.suffix == ".inter":
        return read_csv(path, Columns("user_id:token", "item_id:token", "timestamp:float"), delimiter="\t")
    if path.suffix == ".data":
        return read_csv(path, Columns(0, 1, 3), delimiter="\t")
    return read_csv(path, Columns(0, 1, 3), delimiter="::", encoding="latin-1")


def read_titles(path: Path) -> dict[str, str]:
    """Film titles by film id, from `movies.csv` or `movies.dat`."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as lines:
            return {row["movieId"]: row["title"] for row in csv.DictReader(lines)}
    return {fields[0]: fields[1] for fields in _dat_rows(path)}


def read_genres(path: Path) -> dict[str, tuple[str, ...]]:
    """Genres by film id, from `movies.csv` or `movies.dat`."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as lines:
            return {row["movieId"]: tuple(row["genres"].split("|")) for row in csv.DictReader(lines)}
    return {fields[0]: tuple(fields[2].split("|")) for fields in _dat_rows(path)}


def _dat_rows(path: Path) -> list[list[str]]:
    return [line.split("::") for line in path.read_text(encoding="latin-1").splitlines()]
