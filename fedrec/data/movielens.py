"""What MovieLens (https://grouplens.org/datasets/movielens/) and RecBole's `.item` say of films."""

import csv
from pathlib import Path

from fedrec.data.interactions import DataError

_GENRES_100K = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
"""What the flags at the end of a line of `u.item` mean, as its `u.genre` lists them."""


def read_titles(path: Path) -> dict[str, str]:
    """Film titles by film id, from `movies.csv` or `movies.dat`."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as lines:
            return {row["movieId"]: row["title"] for row in csv.DictReader(lines)}
    return {fields[0]: fields[1] for fields in _dat_rows(path)}


def read_genres(path: Path) -> dict[str, tuple[str, ...]]:
    """Genres by film id, from `movies.csv` (latest), `movies.dat` (1M, 10M), `u.item` (100K) or `*.item` (RecBole).

    Raises:
        DataError: a line does not have the columns of its format.
    """
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as lines:
            return {row["movieId"]: tuple(row["genres"].split("|")) for row in csv.DictReader(lines)}
    if path.suffix == ".dat":
        return {fields[0]: tuple(fields[2].split("|")) for fields in _dat_rows(path)}
    try:
        return _read_flags(path) if path.name == "u.item" else _read_recbole(path)
    except (KeyError, ValueError) as error:
        raise DataError(f"{path}: not 19 flags after five columns, or no `item_id` and `class` columns") from error


def _read_flags(path: Path) -> dict[str, tuple[str, ...]]:
    rows = [line.split("|") for line in path.read_text(encoding="latin-1").splitlines()]
    return {
        row[0]: tuple(genre for genre, flag in zip(_GENRES_100K, row[5:], strict=True) if flag == "1") for row in rows
    }


def _read_recbole(path: Path) -> dict[str, tuple[str, ...]]:
    with path.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        return {row["item_id:token"]: tuple(row["class:token_seq"].split(" ")) for row in rows}


def _dat_rows(path: Path) -> list[list[str]]:
    return [line.split("::") for line in path.read_text(encoding="latin-1").splitlines()]
