"""Catalogues of items: which item each row of a model's item tensors stands for, while items come and go.

A model's tensors have a capacity: more rows than there are items. A new item takes the next free row, a retired one
keeps its row, and no row ever changes its item. So nothing that a task agreed on changes when the catalogue does,
and a device with any version of it, or with none, reports validly.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from pydantic import Field, StringConstraints

from fedrec_protocol.base import Message, Response

ItemId = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,200}$")]
"""The app's own name of an item: 1 to 200 characters, none of them a control character."""

MAXIMUM_CAPACITY = 1_000_000
MAXIMUM_CHANGES = 5_000
"""Items of each kind in one request, so that it stays under a megabyte."""


class CatalogueRequest(Message):
    """Give a model a catalogue."""

    capacity: int = Field(ge=1, le=MAXIMUM_CAPACITY, examples=[5000])
    """Rows of the item tensors: `number_of_items` of the recipe."""


class CatalogueChange(Message):
    """Make the next version of a catalogue. Items are added first, then retired."""

    add: tuple[ItemId, ...] = Field(default=(), max_length=MAXIMUM_CHANGES, examples=[["film-9743"]])
    """New items, which take the next free rows in this order; retired ones, which come back; known ones stay."""
    retire: tuple[ItemId, ...] = Field(default=(), max_length=MAXIMUM_CHANGES, examples=[["film-12"]])
    """Items that must not be recommended any more."""


class CatalogueEntry(Response):
    """What a version of a catalogue says of one row."""

    index: int
    """The row, from 0."""
    item_id: str
    """The app's name of the item; the same for ever."""
    is_retired: bool
    """Whether it must not be recommended."""


class CatalogueView(Response):
    """A version of a model's catalogue, as the changes since an earlier one."""

    model: str
    """The model's name."""
    capacity: int
    """Rows of the item tensors."""
    number: int
    """Number of this version; 0 is the empty catalogue."""
    digest: str
    """SHA-256 of the whole catalogue in hexadecimal; see `ItemCatalogue.digest`."""
    since: int
    """The version that the changes are relative to."""
    changes: tuple[CatalogueEntry, ...]
    """Rows that changed after version `since`, as they are now, by index."""


@dataclass(frozen=True)
class ItemCatalogue:
    """The items of a catalogue version."""

    item_ids: tuple[str, ...] = ()
    """The app's names of the items, by row."""
    retired: frozenset[int] = frozenset()
    """Rows of items that must not be recommended."""

    def __len__(self) -> int:
        return len(self.item_ids)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the JSON list of [item id, 1 if retired else 0] by row, without spaces, as UTF-8."""
        rows = [[item_id, int(index in self.retired)] for index, item_id in enumerate(self.item_ids)]
        text = json.dumps(rows, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def rows(self) -> dict[str, int]:
        """The row of each item, retired ones too."""
        return {item_id: index for index, item_id in enumerate(self.item_ids)}

    @property
    def recommendable(self) -> list[int]:
        """Rows of items that may be recommended, ascending."""
        return [index for index in range(len(self.item_ids)) if index not in self.retired]

    def ruled_out(self, capacity: int) -> list[int]:
        """Rows of a model of this capacity that may not be recommended, ascending: retired, or without an item."""
        return [*sorted(self.retired), *range(len(self.item_ids), capacity)]

    def with_changes(self, changes: Iterable[CatalogueEntry]) -> "ItemCatalogue":
        """The catalogue after these changes, which are in the order of their rows.

        Raises:
            ValueError: they would leave a row without an item, or give it another one.
        """
        item_ids, retired = list(self.item_ids), set(self.retired)
        for change in changes:
            if change.index == len(item_ids):
                item_ids.append(change.item_id)
            elif change.index > len(item_ids) or item_ids[change.index] != change.item_id:
                raise ValueError(f"row {change.index} cannot become {change.item_id!r}")
            (retired.add if change.is_retired else retired.discard)(change.index)
        return ItemCatalogue(tuple(item_ids), frozenset(retired))
