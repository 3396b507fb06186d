"""Operator keys, enrolment keys and clients in Postgres."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, RowMapping, Table, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from fedrec_protocol.messages import Role
from fedrec_protocol.operator_messages import EnrolmentKeyView, OperatorKeyView
from services.aggregator.domain.errors import DeviceKeyTaken, Unauthenticated, UnknownKey
from services.aggregator.storage.tables import clients, enrolment_keys, operator_keys


@dataclass(frozen=True)
class Client:
    """An enrolled device."""

    id: str
    task_id: str
    public_key: bytes
    is_revoked: bool


def insert_operator_key(
    tx: Connection, view: OperatorKeyView, lookup: str, key_hash: bytes, *, ignore_existing: bool = False
) -> None:
    """Store an operator key's hash."""
    values = {
        "id": view.key_id,
        "name": view.name,
        "role": view.role,
        "lookup": lookup,
        "key_hash": key_hash,
        "created_at": view.created_at,
        "expires_at": view.expires_at,
    }
    statement = upsert(operator_keys).values(**values)
    tx.execute(statement.on_conflict_do_nothing() if ignore_existing else statement)


def operator_keys_like(tx: Connection, lookup: str) -> list[tuple[bytes, OperatorKeyView]]:
    """Hashes and views of the operator keys with these first characters."""
    rows = tx.execute(select(operator_keys).where(operator_keys.c.lookup == lookup)).mappings()
    return [(row["key_hash"], _operator_view(row)) for row in rows]


def operator_key_views(tx: Connection) -> list[OperatorKeyView]:
    """All operator keys."""
    rows = tx.execute(select(operator_keys).order_by(operator_keys.c.created_at)).mappings()
    return [_operator_view(row) for row in rows]


def insert_enrolment_key(tx: Connection, view: EnrolmentKeyView, lookup: str, key_hash: bytes) -> None:
    """Store an enrolment key's hash."""
    tx.execute(
        insert(enrolment_keys).values(
            id=view.key_id,
            task_id=view.task_id,
            lookup=lookup,
            key_hash=key_hash,
            created_at=view.created_at,
            expires_at=view.expires_at,
        )
    )


def enrolment_keys_like(tx: Connection, lookup: str) -> list[tuple[bytes, EnrolmentKeyView]]:
    """Hashes and views of the enrolment keys with these first characters."""
    rows = tx.execute(select(enrolment_keys).where(enrolment_keys.c.lookup == lookup)).mappings()
    return [(row["key_hash"], _enrolment_view(row)) for row in rows]


def enrolment_key_views(tx: Connection, task_id: str) -> list[EnrolmentKeyView]:
    """All enrolment keys of a task."""
    query = select(enrolment_keys).where(enrolment_keys.c.task_id == task_id).order_by(enrolment_keys.c.created_at)
    return [_enrolment_view(row) for row in tx.execute(query).mappings()]


def revoke_operator_key(tx: Connection, key_id: str, now: datetime) -> None:
    """Refuse an operator key from now on.

    Raises:
        UnknownKey: there is none.
    """
    _revoke(tx, operator_keys, [operator_keys.c.id == key_id], now, f"operator key {key_id!r}")


def revoke_enrolment_key(tx: Connection, task_id: str, key_id: str, now: datetime) -> None:
    """Refuse an enrolment key of a task from now on.

    Raises:
        UnknownKey: the task has none such.
    """
    where = [enrolment_keys.c.id == key_id, enrolment_keys.c.task_id == task_id]
    _revoke(tx, enrolment_keys, where, now, f"enrolment key {key_id!r}")


def revoke_client(tx: Connection, task_id: str, client_id: str, now: datetime) -> None:
    """Give a client no more work and no more tokens.

    Raises:
        UnknownKey: the task has no such client.
    """
    where = [clients.c.id == client_id, clients.c.task_id == task_id]
    _revoke(tx, clients, where, now, f"client {client_id!r}")


def enrol(tx: Connection, client_id: str, task_id: str, public_key: bytes, now: datetime) -> Client:
    """Store a client; a public key that is enrolled already keeps its client."""
    values = {"id": client_id, "task_id": task_id, "public_key": public_key, "enrolled_at": now}
    tx.execute(upsert(clients).values(**values).on_conflict_do_nothing(index_elements=["task_id", "public_key"]))
    query = select(clients).where(clients.c.task_id == task_id, clients.c.public_key == public_key)
    return _client(tx.execute(query).mappings().one())


def client(tx: Connection, client_id: str) -> Client | None:
    """A client; None where there is none."""
    row = tx.execute(select(clients).where(clients.c.id == client_id)).mappings().one_or_none()
    return None if row is None else _client(row)


def clients_of(tx: Connection, client_ids: Sequence[str]) -> dict[str, Client]:
    """Clients by id; those that do not exist are left out."""
    rows = tx.execute(select(clients).where(clients.c.id.in_(client_ids))).mappings()
    return {row["id"]: _client(row) for row in rows}


def replace_key(tx: Connection, before: Client, public_key: bytes) -> None:
    """Give a client another key, if it still has the one that it had before, or has the new one by now.

    Raises:
        DeviceKeyTaken: another client of the task has it.
        Unauthenticated: the client was given yet another key, or revoked, meanwhile.
    """
    is_as_before = [
        clients.c.id == before.id,
        clients.c.public_key == before.public_key,
        clients.c.revoked_at.is_(None),
    ]
    try:
        replaced = tx.execute(update(clients).where(*is_as_before).values(public_key=public_key)).rowcount
    except IntegrityError as error:
        raise DeviceKeyTaken("another client of the task has this key: make a new one") from error
    if replaced == 0 and client(tx, before.id) != replace(before, public_key=public_key):
        raise Unauthenticated("the device's key was replaced by another one, or its client revoked")


def _revoke(tx: Connection, table: Table, where: Iterable[object], now: datetime, what: str) -> None:
    statement = update(table).where(*where).values(revoked_at=now)  # type: ignore[arg-type] # column expressions
    if tx.execute(statement).rowcount == 0:
        raise UnknownKey(f"there is no {what}")


def _client(row: RowMapping) -> Client:
    return Client(row["id"], row["task_id"], row["public_key"], row["revoked_at"] is not None)


def _operator_view(row: RowMapping) -> OperatorKeyView:
    return OperatorKeyView(
        key_id=row["id"],
        name=row["name"],
        role=Role(row["role"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )


def _enrolment_view(row: RowMapping) -> EnrolmentKeyView:
    return EnrolmentKeyView(
        key_id=row["id"],
        task_id=row["task_id"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )
