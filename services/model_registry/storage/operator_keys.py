"""Operator keys: stored as keyed hashes, found by their first characters."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.dialects.postgresql import insert

from fedrec_protocol.messages import OperatorKeyView, Role
from services.kit.ids import new_id
from services.kit.keys import NewKey, lookup_of, matches
from services.model_registry.domain.errors import UnknownKey
from services.model_registry.storage.tables import operator_keys


def add(
    tx: Connection, key: NewKey, *, name: str, role: Role, now: datetime, expires_at: datetime | None
) -> OperatorKeyView | None:
    """Insert a key; None when a key with this secret exists, revoked or not."""
    row = insert(operator_keys).values(
        key_id=new_id("key"),
        name=name,
        role=role,
        lookup=key.lookup,
        key_hash=key.key_hash,
        created_at=now,
        expires_at=expires_at,
    )
    added = tx.execute(row.on_conflict_do_nothing().returning(operator_keys)).one_or_none()
    return None if added is None else _view(added)


def find(tx: Connection, secret: str, pepper: bytes) -> OperatorKeyView | None:
    """The key with this secret, if there is one; it may be expired or revoked."""
    query = select(operator_keys).where(operator_keys.c.lookup == lookup_of(secret))
    for row in tx.execute(query):
        if matches(secret, pepper, row.key_hash):
            return _view(row)
    return None


def page(tx: Connection, *, limit: int) -> list[OperatorKeyView]:
    """Keys, newest first."""
    query = select(operator_keys).order_by(operator_keys.c.created_at.desc(), operator_keys.c.key_id).limit(limit)
    return [_view(row) for row in tx.execute(query)]


def revoke(tx: Connection, key_id: str, now: datetime) -> OperatorKeyView:
    """Refuse a key from now on; again: the first revocation stands.

    Raises:
        UnknownKey: there is none with this id.
    """
    first = func.coalesce(operator_keys.c.revoked_at, now)
    row = update(operator_keys).where(operator_keys.c.key_id == key_id).values(revoked_at=first)
    revoked = tx.execute(row.returning(operator_keys)).one_or_none()
    if revoked is None:
        raise UnknownKey(f"there is no operator key {key_id!r}")
    return _view(revoked)


def _view(row: Row[Any]) -> OperatorKeyView:
    return OperatorKeyView.model_validate(row._asdict())
