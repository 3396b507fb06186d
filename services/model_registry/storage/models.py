"""Models, by name."""

from typing import Any

from sqlalchemy import Connection, Row, Select, func, select
from sqlalchemy.dialects.postgresql import insert

from fedrec_protocol.registry_messages import ModelRequest, ModelView
from services.model_registry.domain.errors import ModelExists, UnknownModel
from services.model_registry.storage.tables import aliases, models, versions


def add(tx: Connection, request: ModelRequest) -> ModelView:
    """Make a model.

    Raises:
        ModelExists: the name is taken.
    """
    row = insert(models).values(name=request.name, description=request.description)
    if tx.execute(row.on_conflict_do_nothing().returning(models.c.name)).one_or_none() is None:
        raise ModelExists(f"there is a model {request.name!r} already")
    return get(tx, request.name)


def ensure(tx: Connection, name: str) -> None:
    """Make a model of this name where there is none."""
    tx.execute(insert(models).values(name=name, description="").on_conflict_do_nothing())


def get(tx: Connection, name: str) -> ModelView:
    """Read a model.

    Raises:
        UnknownModel: there is none of this name.
    """
    row = tx.execute(_views().where(models.c.name == name)).one_or_none()
    if row is None:
        raise UnknownModel(f"there is no model {name!r}")
    return _view(row)


def page(tx: Connection, *, after: str, limit: int) -> list[ModelView]:
    """Models by name, from the first one after `after`."""
    query = _views().where(models.c.name > after).order_by(models.c.name).limit(limit)
    return [_view(row) for row in tx.execute(query)]


def lock(tx: Connection, name: str) -> None:
    """Keep other transactions from publishing to this model, and from moving its aliases, until this one ends.

    Raises:
        UnknownModel: there is none of this name.
    """
    # FOR NO KEY UPDATE: rows that refer to the model may still be inserted by others.
    query = select(models.c.name).where(models.c.name == name).with_for_update(key_share=True)
    if tx.execute(query).one_or_none() is None:
        raise UnknownModel(f"there is no model {name!r}")


def _views() -> Select[Any]:
    # Numbers have no gaps, so the largest one counts the versions without reading them all.
    count = select(func.coalesce(func.max(versions.c.number) + 1, 0)).where(versions.c.model == models.c.name)
    named = select(
        func.coalesce(func.jsonb_object_agg(aliases.c.alias, aliases.c.version_id), func.jsonb_build_object())
    )
    return select(
        models.c.name,
        models.c.description,
        models.c.created_at,
        count.scalar_subquery().label("versions"),
        named.where(aliases.c.model == models.c.name).scalar_subquery().label("aliases"),
    )


def _view(row: Row[Any]) -> ModelView:
    return ModelView.model_validate(row._asdict())
