"""How a catalogue of items changes."""

from fedrec_protocol.item_catalogue import CatalogueChange, CatalogueEntry, ItemCatalogue
from services.model_registry.domain.errors import CatalogueFull, UnknownItem


def changes_of(current: ItemCatalogue, capacity: int, change: CatalogueChange) -> list[CatalogueEntry]:
    """The rows that a change changes, by index; none when everything is so already.

    Raises:
        CatalogueFull: the new items need more rows than there are.
        UnknownItem: an item to retire was never added.
    """
    rows = dict(current.rows)
    for item_id in change.add:
        rows.setdefault(item_id, len(rows))
    if len(rows) > capacity:
        raise CatalogueFull(
            f"{len(rows)} items need more rows than the {capacity} of the model: start a task with a larger "
            "number_of_items, whose model has a catalogue of its own"
        )
    unknown = [item_id for item_id in change.retire if item_id not in rows]
    if unknown:
        raise UnknownItem(f"there is no item {unknown[0]!r} to retire ({len(unknown)} such items)")
    retired = (current.retired - {rows[item_id] for item_id in change.add}) | {rows[item] for item in change.retire}
    return [
        CatalogueEntry(index=index, item_id=item_id, is_retired=index in retired)
        for item_id, index in rows.items()
        if index >= len(current) or (index in retired) != (index in current.retired)
    ]
