"""The fake's catalogue of items: its versions, and what changed between them."""

from collections.abc import Iterable

from fedrec_protocol.item_catalogue import CatalogueEntry, CatalogueView, ItemCatalogue
from fedrec_protocol.problems import Slug
from fedrec_sdk.testing.refusal import Refused


class FakeCatalogue:
    """The catalogue of one model; it has none until the first change."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._versions = [ItemCatalogue()]
        self._capacity = 0

    def change(self, capacity: int, add: Iterable[str], retire: Iterable[str]) -> None:
        """Make the next version; items are added first, then retired.

        Raises:
            ValueError: more items than rows, or an item to retire that was never added.
        """
        current = self._versions[-1]
        added = list(add)
        item_ids = (*current.item_ids, *(item for item in dict.fromkeys(added) if item not in current.rows))
        rows = {item_id: index for index, item_id in enumerate(item_ids)}
        leaving = set(retire)
        if len(item_ids) > capacity or not leaving <= rows.keys():
            raise ValueError("more items than rows, or an item to retire that was never added")
        back, gone = ({rows[item] for item in items} for items in (added, leaving))
        self._capacity = capacity
        self._versions.append(ItemCatalogue(item_ids, frozenset(current.retired - back | gone)))

    def view(self, since: int) -> CatalogueView:
        """The newest version, as what changed after another one.

        Raises:
            Refused: `unknown-catalogue`.
        """
        if len(self._versions) == 1:
            raise Refused(Slug.UNKNOWN_CATALOGUE, f"model {self._model!r} has no catalogue")
        newest = self._versions[-1]
        old = self._versions[min(since, len(self._versions) - 1)]
        changes = tuple(
            CatalogueEntry(index=index, item_id=item_id, is_retired=index in newest.retired)
            for index, item_id in enumerate(newest.item_ids)
            if index >= len(old) or (index in newest.retired) != (index in old.retired)
        )
        return CatalogueView(
            model=self._model,
            capacity=self._capacity,
            number=len(self._versions) - 1,
            digest=newest.digest,
            since=since,
            changes=changes,
        )
