"""The model's catalogue of items on this device: fetched as changes, kept in the local store."""

from pydantic import BaseModel

from fedrec_protocol.item_catalogue import CatalogueView, ItemCatalogue
from fedrec_sdk.errors import Unavailable
from fedrec_sdk.registry_address import RegistryAddress
from fedrec_sdk.session import Session
from fedrec_sdk.store import LocalStore


class _Kept(BaseModel):
    """What the store holds of a catalogue."""

    model: str
    number: int
    item_ids: tuple[str, ...]
    retired: tuple[int, ...]


class Catalogues:
    """The catalogue of one model."""

    def __init__(self, store: LocalStore, session: Session, registry: RegistryAddress) -> None:
        self._values = store.values
        self._session = session
        self._registry = registry

    def current(self, model: str) -> ItemCatalogue | None:
        """The catalogue as it was last refreshed; None before that."""
        kept = self._kept(model)
        return None if kept is None else ItemCatalogue(kept.item_ids, frozenset(kept.retired))

    def refresh(self, model: str) -> ItemCatalogue:
        """Fetch what changed, and check the whole against its digest.

        Raises:
            Unavailable: no answer, or one that does not add up even from the beginning; or nobody has named the
                registry yet.
            Rejected: `unknown-catalogue`, ...
        """
        kept = self._kept(model)
        if kept is not None:
            changed = self._changed(model, kept)
            if changed is not None:
                return changed
        # Nothing kept, or a database that was restored to before it: begin at the beginning.
        whole = self._changed(model, _Kept(model=model, number=0, item_ids=(), retired=()))
        if whole is None:
            raise Unavailable("the catalogue does not have the digest that the registry gave it: try again")
        return whole

    def _changed(self, model: str, kept: _Kept) -> ItemCatalogue | None:
        view: CatalogueView = self._session.catalogue(self._registry.get(), model, since=kept.number)
        try:
            catalogue = ItemCatalogue(kept.item_ids, frozenset(kept.retired)).with_changes(view.changes)
        except ValueError:
            return None
        if catalogue.digest != view.digest:
            return None
        changed = _Kept(
            model=model, number=view.number, item_ids=catalogue.item_ids, retired=tuple(sorted(catalogue.retired))
        )
        self._values.put("catalogue", changed.model_dump_json().encode())
        return catalogue

    def _kept(self, model: str) -> _Kept | None:
        content = self._values.get("catalogue")
        kept = None if content is None else _Kept.model_validate_json(content)
        return kept if kept is not None and kept.model == model else None
