"""Catalogues of items: rows keep their items, and a digest names the whole."""

import hashlib

import pytest

from fedrec_protocol.item_catalogue import CatalogueEntry, ItemCatalogue


def entry(index: int, item_id: str, *, is_retired: bool = False) -> CatalogueEntry:
    return CatalogueEntry(index=index, item_id=item_id, is_retired=is_retired)


def test_changes_one_after_the_other_or_at_once_give_the_same_catalogue() -> None:
    first = ItemCatalogue().with_changes([entry(0, "heat"), entry(1, "ran")])
    second = first.with_changes([entry(0, "heat", is_retired=True), entry(2, "alien")])
    at_once = ItemCatalogue().with_changes([entry(0, "heat", is_retired=True), entry(1, "ran"), entry(2, "alien")])
    assert second == at_once
    assert second.digest == at_once.digest != first.digest
    assert second.recommendable == [1, 2]
    assert second.ruled_out(capacity=5) == [0, 3, 4]
    assert second.rows == {"heat": 0, "ran": 1, "alien": 2}


def test_the_digest_can_be_computed_from_its_description() -> None:
    catalogue = ItemCatalogue(("heat", "amélie"), frozenset({1}))
    assert catalogue.digest == hashlib.sha256('[["heat",0],["amélie",1]]'.encode()).hexdigest()


@pytest.mark.parametrize("change", [entry(0, "ran"), entry(2, "alien")])
def test_a_row_neither_changes_its_item_nor_leaves_a_gap(change: CatalogueEntry) -> None:
    with pytest.raises(ValueError, match=f"row {change.index}"):
        ItemCatalogue(("heat",)).with_changes([change])
