"""Enrolment keys and clients in Postgres."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from fedrec_protocol.operator_messages import EnrolmentKeyView
from fedrec_protocol.vouchers import Vouchers
from services.aggregator.domain.errors import DeviceKeyTaken, Unauthenticated, UnknownKey
from services.aggregator.storage import refused_keys
from services.aggregator.storage.ids import is_one_of
from services.aggregator.storage.tables import clients, enrolment_keys
from services.kit import key_tables


@dataclass(frozen=True)
class Client:
    """An enrolled device."""

    id: str
    task_id: str
    public_key: bytes
    is_revoked: bool
    seen_on: date = field(compare=False)
    """When it last enrolled, or got a token."""


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
            vouchers=_stored(view.vouchers),
        )
    )


def find_enrolment_key(tx: Connection, secret: str, pepper: bytes) -> EnrolmentKeyView | None:
    """The enrolment key with this secret, if there is one; it may be expired or revoked."""
    row = key_tables.find_key(tx, enrolment_keys, secret, pepper)
    return None if row is None else _enrolment_view(row)


def enrolment_key_views(tx: Connection, task_id: str) -> list[EnrolmentKeyView]:
    """All enrolment keys of a task, newest first."""
    newest_first = (enrolment_keys.c.created_at.desc(), enrolment_keys.c.id)
    query = select(enrolment_keys).where(enrolment_keys.c.task_id == task_id).order_by(*newest_first)
    return [_enrolment_view(row) for row in tx.execute(query).mappings()]


def replace_vouchers(tx: Connection, task_id: str, key_id: str, vouchers: Vouchers) -> EnrolmentKeyView:
    """Let an enrolment key of a task demand these vouchers from now on; returns the key as it is then.

    Raises:
        UnknownKey: the task has none such.
    """
    is_it = (enrolment_keys.c.id == key_id) & (enrolment_keys.c.task_id == task_id)
    changed = update(enrolment_keys).where(is_it).values(vouchers=_stored(vouchers)).returning(enrolment_keys)
    row = tx.execute(changed).mappings().one_or_none()
    if row is None:
        raise UnknownKey(f"there is no enrolment key {key_id!r}")
    return _enrolment_view(row)


def revoke_enrolment_key(tx: Connection, task_id: str, key_id: str, now: datetime) -> None:
    """Refuse an enrolment key of a task from now on.

    Raises:
        UnknownKey: the task has none such.
    """
    if not key_tables.revoke(
        tx, enrolment_keys, now, enrolment_keys.c.id == key_id, enrolment_keys.c.task_id == task_id
    ):
        raise UnknownKey(f"there is no enrolment key {key_id!r}")


def revoke_client(tx: Connection, task_id: str, client_id: str, now: datetime) -> None:
    """Give a client no more work and no more tokens.

    Raises:
        UnknownKey: the task has no such client.
    """
    if not key_tables.revoke(tx, clients, now, clients.c.id == client_id, clients.c.task_id == task_id):
        raise UnknownKey(f"there is no client {client_id!r}")


def enrol(tx: Connection, client_id: str, task_id: str, public_key: bytes, now: datetime) -> Client:
    """Store a client; a public key that is enrolled already keeps its client.

    Raises:
        Unauthenticated: the key was that of a client which may not come back.
    """
    seen = {"seen_on": now.date()}
    values = {"id": client_id, "task_id": task_id, "public_key": public_key, "enrolled_at": now}
    statement = upsert(clients).values(**values, **seen)
    # Changed, not left alone: so it is locked and returned, and cannot be forgotten between two statements.
    statement = statement.on_conflict_do_update(index_elements=["task_id", "public_key"], set_=seen)
    found = _client(tx.execute(statement.returning(clients)).mappings().one())
    if found.is_revoked or refused_keys.is_refused(tx, task_id, public_key):
        raise Unauthenticated("this device's client was revoked")
    return found


def insert_client(tx: Connection, client_id: str, task_id: str, public_key: bytes, now: datetime) -> Client:
    """Store a client that goes by a key of its own.

    Raises:
        DeviceKeyTaken: another client of the task has it.
        Unauthenticated: the key was that of a client which may not come back.
    """
    values = {"id": client_id, "task_id": task_id, "public_key": public_key, "enrolled_at": now, "seen_on": now.date()}
    row = (
        tx.execute(upsert(clients).values(**values).on_conflict_do_nothing().returning(clients))
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise DeviceKeyTaken("another client of the task has this key: make a new one")
    if refused_keys.is_refused(tx, task_id, public_key):
        raise Unauthenticated("this device's client was revoked")
    return _client(row)


def seen_client(tx: Connection, client_id: str, today: date) -> Client:
    """A client that is there and was here today, locked until the transaction ends."""
    changed = update(clients).where(clients.c.id == client_id).values(seen_on=today)
    return _client(tx.execute(changed.returning(clients)).mappings().one())


def mark_seen(tx: Connection, who: Client, today: date) -> None:
    """Note that a client was here today."""
    tx.execute(update(clients).where(clients.c.id == who.id, clients.c.seen_on < today).values(seen_on=today))


def client(tx: Connection, client_id: str) -> Client | None:
    """A client; None where there is none."""
    row = tx.execute(select(clients).where(clients.c.id == client_id)).mappings().one_or_none()
    return None if row is None else _client(row)


def clients_of(tx: Connection, client_ids: Sequence[str]) -> dict[str, Client]:
    """Clients by id; those that do not exist are left out."""
    rows = tx.execute(select(clients).where(is_one_of(clients.c.id, client_ids))).mappings()
    return {row["id"]: _client(row) for row in rows}


def replace_key(tx: Connection, before: Client, public_key: bytes) -> None:
    """Give a client another key, if it still has the one that it had before, or has the new one by now.

    Raises:
        DeviceKeyTaken: another client of the task has it, or had it and may not come back.
        Unauthenticated: the client was given yet another key, or revoked, meanwhile.
    """
    if refused_keys.is_refused(tx, before.task_id, public_key):
        raise DeviceKeyTaken("another client of the task had this key: make a new one")
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


def _client(row: RowMapping) -> Client:
    return Client(row["id"], row["task_id"], row["public_key"], row["revoked_at"] is not None, row["seen_on"])


def _enrolment_view(row: RowMapping) -> EnrolmentKeyView:
    return EnrolmentKeyView(
        key_id=row["id"],
        task_id=row["task_id"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        vouchers=None if row["vouchers"] is None else Vouchers.model_validate(row["vouchers"]),
    )


def _stored(vouchers: Vouchers | None) -> dict[str, Any] | None:
    return None if vouchers is None else vouchers.model_dump(mode="json", exclude_none=True)
