"""What is left of clients that may not come back: the hash of their key, and of which task."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Function, String, func, literal, select
from sqlalchemy.dialects.postgresql import insert as upsert

from services.aggregator.storage.tables import clients, refused_keys


def add(tx: Connection, client_ids: Sequence[str]) -> None:
    """Refuse the keys of those clients that were revoked, for ever."""
    query = select(clients.c.task_id, _key_hash(clients.c.task_id, clients.c.public_key))
    query = query.where(clients.c.id.in_(client_ids), clients.c.revoked_at.is_not(None))
    tx.execute(upsert(refused_keys).from_select(["task_id", "key_hash"], query).on_conflict_do_nothing())


def is_refused(tx: Connection, task_id: str, public_key: bytes) -> bool:
    """Whether this key was that of a client which may not come back."""
    key_hash = _key_hash(literal(task_id, String), literal(public_key))
    query = select(refused_keys.c.key_hash).where(
        refused_keys.c.task_id == task_id, refused_keys.c.key_hash == key_hash
    )
    return tx.execute(query).scalar() is not None


def _key_hash(task_id: Any, public_key: Any) -> Function[bytes]:
    # With the task in it, the hashes of one key in two tasks do not tell that it was one.
    return func.sha256(func.convert_to(task_id, "UTF8").concat(public_key))
