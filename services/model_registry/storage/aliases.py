"""Aliases, and the log of where they pointed."""

from typing import Any

from sqlalchemy import Connection, Row, func, select
from sqlalchemy.dialects.postgresql import insert

from fedrec_protocol.registry_messages import AliasMove, AliasView
from services.model_registry.domain.errors import UnknownAlias
from services.model_registry.domain.promotion import AliasAction
from services.model_registry.storage import audit, versions
from services.model_registry.storage.tables import alias_moves, aliases


def get(tx: Connection, model: str, alias: str) -> AliasView:
    """Read an alias with the version that it names.

    Raises:
        UnknownAlias: it was never set.
    """
    found = find(tx, model, alias)
    if found is None:
        raise UnknownAlias(f"model {model!r} has no alias {alias!r}")
    return found


def find(tx: Connection, model: str, alias: str) -> AliasView | None:
    """Read an alias with the version that it names, if it was ever set."""
    query = select(aliases).where(aliases.c.model == model, aliases.c.alias == alias)
    row = tx.execute(query).one_or_none()
    if row is None:
        return None
    return AliasView(model=model, alias=alias, version=versions.get(tx, row.version_id), moved_at=row.moved_at)


def move(
    tx: Connection, model: str, alias: str, to_version_id: str, *, action: AliasAction, operator: str, reason: str
) -> AliasView:
    """Point an alias at a version and log it; the transaction has locked the model."""
    audit.record(tx, operator, f"{action} {alias}", to_version_id)
    current = select(aliases.c.version_id).where(aliases.c.model == model, aliases.c.alias == alias)
    tx.execute(
        insert(alias_moves).values(
            model=model,
            alias=alias,
            from_version_id=current.scalar_subquery(),
            to_version_id=to_version_id,
            action=action,
            operator=operator,
            reason=reason,
        )
    )
    values = {"version_id": to_version_id, "moved_at": func.now()}
    row = insert(aliases).values(model=model, alias=alias, **values)
    tx.execute(row.on_conflict_do_update(index_elements=["model", "alias"], set_=values))
    return get(tx, model, alias)


def whole_log(tx: Connection, model: str, alias: str) -> list[AliasMove]:
    """Every move of an alias, oldest first."""
    query = select(alias_moves).where(alias_moves.c.model == model, alias_moves.c.alias == alias)
    return [_move(row) for row in tx.execute(query.order_by(alias_moves.c.number))]


def history(tx: Connection, model: str, alias: str, *, before: int, limit: int) -> list[AliasMove]:
    """The moves of an alias, newest first, from the first one before number `before`."""
    query = select(alias_moves).where(
        alias_moves.c.model == model, alias_moves.c.alias == alias, alias_moves.c.number < before
    )
    return [_move(row) for row in tx.execute(query.order_by(alias_moves.c.number.desc()).limit(limit))]


def _move(row: Row[Any]) -> AliasMove:
    return AliasMove.model_validate(row._asdict())
