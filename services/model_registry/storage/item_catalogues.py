"""Catalogues of items: an append-only log of what became of each row."""

from sqlalchemy import Connection, insert, select
from sqlalchemy.dialects.postgresql import distinct_on

from fedrec_protocol.item_catalogue import CatalogueEntry, CatalogueView, ItemCatalogue
from services.model_registry.domain.errors import UnknownCatalogue
from services.model_registry.storage.tables import catalogue_changes, catalogue_versions, catalogues


def add(tx: Connection, model: str, capacity: int) -> None:
    """Give a model an empty catalogue, version 0; the transaction has locked the model."""
    tx.execute(insert(catalogues).values(model=model, capacity=capacity))
    tx.execute(insert(catalogue_versions).values(model=model, number=0, digest=ItemCatalogue().digest))


def capacity_of(tx: Connection, model: str) -> int | None:
    """Rows of the model's item tensors; None when it has no catalogue."""
    return tx.execute(select(catalogues.c.capacity).where(catalogues.c.model == model)).scalar_one_or_none()


def view(tx: Connection, model: str, *, since: int = 0) -> CatalogueView:
    """The newest version, as the changes after version `since`.

    Raises:
        UnknownCatalogue: the model has none.
    """
    capacity, number, digest = _newest(tx, model)
    latest = (
        select(catalogue_changes)
        .where(catalogue_changes.c.model == model, catalogue_changes.c.number > since)
        .ext(distinct_on(catalogue_changes.c.index))
        .order_by(catalogue_changes.c.index, catalogue_changes.c.number.desc())
    )
    changes = tuple(CatalogueEntry.model_validate(row._asdict()) for row in tx.execute(latest))
    return CatalogueView(model=model, capacity=capacity, number=number, digest=digest, since=since, changes=changes)


def append(tx: Connection, model: str, changes: list[CatalogueEntry], digest: str) -> None:
    """Store the next version, of this digest; the transaction has locked the model."""
    _, newest, _ = _newest(tx, model)
    number = newest + 1
    tx.execute(insert(catalogue_versions).values(model=model, number=number, digest=digest))
    rows = [{"model": model, "number": number, **change.model_dump()} for change in changes]
    tx.execute(insert(catalogue_changes), rows)


def _newest(tx: Connection, model: str) -> tuple[int, int, str]:
    """Capacity, number and digest of the newest version."""
    query = (
        select(catalogues.c.capacity, catalogue_versions.c.number, catalogue_versions.c.digest)
        .join(catalogue_versions, catalogue_versions.c.model == catalogues.c.model)
        .where(catalogues.c.model == model)
        .order_by(catalogue_versions.c.number.desc())
        .limit(1)
    )
    row = tx.execute(query).one_or_none()
    if row is None:
        raise UnknownCatalogue(f"model {model!r} has no catalogue: its items are numbers")
    return row.capacity, row.number, row.digest
