"""Operator keys in Postgres."""

from datetime import datetime

from sqlalchemy import Connection

from services.kit.operator_keys import OperatorKeys
from services.model_registry.domain.errors import UnknownKey
from services.model_registry.storage import tables

_keys = OperatorKeys(tables.operator_keys)
make, add_once, find, views = _keys.make, _keys.add_once, _keys.find, _keys.views


def revoke(tx: Connection, key_id: str, now: datetime) -> None:
    """Refuse a key from now on; again: the first revocation stands.

    Raises:
        UnknownKey: there is none with this id.
    """
    if not _keys.revoke(tx, key_id, now):
        raise UnknownKey(f"there is no operator key {key_id!r}")
