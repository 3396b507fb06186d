"""Operator keys: stored as keyed hashes, found by their first characters."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.dialects.postgresql import insert

from fedrec_protocol.messages import Role
from fedrec_protocol.operator_messages import OperatorKeyView
from services.kit.ids import new_id
from services.kit.keys import NewKey, lookup_of, matches
from services.model_registry.domain.errors import UnknownKey
from services.model_registry.storage.tables import operator_keys


def add(
    tx: Connection, key: NewKey, *, name: str, role: Role, now: datetime, expires_at: datetime | None
) -> OperatorKeyView:
    """Insert a new key."""
    row = insert(operator_keys).values(_values(key, name, role, now) | {"expires_at": expires_at})
    return _view(tx.execute(row.returning(operator_keys)).one())


def add_once(tx: Connection, key: NewKey, *, name: str, role: Role, now: datetime) -> None:
    """Insert a key unless it was there before: one that was revoked does not come back."""
    tx.execute(insert(operator_keys).values(_values(key, name, role, now)).on_conflict_do_nothing())


def find(tx: Connection, secret: str, pepper: bytes) -> OperatorKeyView | None:
    """The key with this secret, if there is one; it may be expired or revoked."""
    query = select(operator_keys).where(operator_keys.c.lookup == lookup_of(secret))
    for row in tx.execute(query):
        if matches(secret, pepper, row.key_hash):
            return _view(row)
    return None


def views(tx: Connection) -> list[OperatorKeyView]:
    """All keys, newest first."""
    query = select(operator_keys).order_by(operator_keys.c.created_at.desc(), operator_keys.c.key_id)
    return [_view(row) for row in tx.execute(query)]


def revoke(tx: Connection, key_id: str, now: datetime) -> None:
    """Refuse a key from now on; again: the first revocation stands.

    Raises:
        UnknownKey: there is none with this id.
    """
    first = func.coalesce(operator_keys.c.revoked_at, now)
    row = update(operator_keys).where(operator_keys.c.key_id == key_id).values(revoked_at=first)
    if tx.execute(row).rowcount == 0:
        raise UnknownKey(f"there is no operator key {key_id!r}")


def _values(key: NewKey, name: str, role: Role, now: datetime) -> dict[str, object]:
    return {
        "key_id": new_id("okey"),
        "name": name,
        "role": role,
        "lookup": key.lookup,
        "key_hash": key.key_hash,
        "created_at": now,
    }


def _view(row: Row[Any]) -> OperatorKeyView:
    return OperatorKeyView.model_validate(row._asdict())
