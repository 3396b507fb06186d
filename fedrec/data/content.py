"""What is known of items beside the interactions: the genres of films, for recipes that use content."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from fedrec.data.movielens import read_genres
from fedrec_recipes.item_content import pack_content

KNOWN_FILES = ("movies.csv", "movies.dat", "u.item", "*.item")
"""What is looked for beside the interactions, in this order."""


@dataclass(frozen=True)
class ItemContent:
    """Features of a catalogue's items."""

    features: tuple[str, ...]
    """Their names, sorted."""
    bits: NDArray[np.bool_]
    """Which item has which, shape (number of items, number of features)."""

    def as_config(self) -> dict[str, JsonValue]:
        """The part of a recipe's configuration that carries it."""
        return {"number_of_features": len(self.features), "content": pack_content(self.bits)}


def content_of(genres: Mapping[str, tuple[str, ...]], item_ids: Sequence[str]) -> ItemContent:
    """The features of these items, in their order; an item that `genres` does not list has none."""
    of_items = [genres.get(item, ()) for item in item_ids]
    features = tuple(sorted({genre for listed in of_items for genre in listed}))
    bits = np.array([[feature in listed for feature in features] for listed in of_items], dtype=np.bool_)
    return ItemContent(features, bits.reshape(len(item_ids), len(features)))


def read_content(path: Path, item_ids: Sequence[str]) -> ItemContent:
    """The content that lies beside a file of interactions, or in a folder with one; no features where there is none.

    Raises:
        DataError: a line does not have the columns of its format.
    """
    folder = path if path.is_dir() else path.parent
    found = [file for pattern in KNOWN_FILES for file in sorted(folder.glob(pattern))]
    return content_of(read_genres(found[0]) if found else {}, item_ids)
