"""Assignments and receipts in Postgres."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    DateTime,
    Insert,
    LargeBinary,
    Select,
    String,
    bindparam,
    column,
    func,
    insert,
    select,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from fedrec_protocol import digest
from fedrec_protocol.messages import Receipt, RoundState
from services.aggregator.storage.ids import array_of, is_one_of, joined, texts
from services.aggregator.storage.tables import assignments, clients, receipts, rounds
from services.kit.driver import Statement

_ANY_KEY = "any"


@dataclass(frozen=True)
class AssignmentRow:
    """An assignment with its receipt."""

    id: str
    round_id: str
    client_id: str
    expires_at: datetime
    round_state: RoundState
    is_revoked: bool
    """Whether its client may no longer take part."""
    device_key: bytes
    """Its client's key as it is."""
    receipt: Receipt | None


class NewReceipt(NamedTuple):
    """A receipt about to be written."""

    report_id: str
    assignment_id: str
    body_sha256: bytes
    device_key: bytes | None = None
    """The key that the sender's token is bound to; None for any."""


@dataclass(frozen=True)
class Participation:
    """What a client has done in its task before."""

    reports: int
    last_round: int


def find(tx: Connection, assignment_ids: Sequence[str]) -> dict[str, AssignmentRow]:
    """Assignments by id; those that do not exist are left out."""
    return {row.id: row for row in map(_row, _FIND.run(tx, ids=joined(assignment_ids)))}


def of_clients(tx: Connection, round_id: str, client_ids: Sequence[str]) -> dict[str, AssignmentRow]:
    """Assignments of some clients in one round, by client id."""
    found = _OF_CLIENTS.run(tx, round_id=round_id, ids=joined(client_ids))
    return {row.client_id: row for row in map(_row, found)}


def insert_many(
    tx: Connection, rows: Sequence[tuple[str, str]], round_id: str, issued_at: datetime, expires_at: datetime
) -> None:
    """Store new assignments, given as (assignment id, client id)."""
    if not rows:
        return
    values = [
        {"id": id_, "round_id": round_id, "client_id": client, "issued_at": issued_at, "expires_at": expires_at}
        for id_, client in rows
    ]
    tx.execute(insert(assignments), values)


def issued_count(tx: Connection, round_id: str) -> int:
    """Assignments ever issued in a round."""
    return tx.execute(select(func.count()).where(assignments.c.round_id == round_id)).scalar_one()


def participations(tx: Connection, client_ids: Sequence[str]) -> dict[str, Participation]:
    """What clients have reported in their task so far; those who have not are left out."""
    query = (
        select(assignments.c.client_id, func.count(), func.max(rounds.c.number))
        .join(receipts, receipts.c.assignment_id == assignments.c.id)
        .join(rounds, rounds.c.id == assignments.c.round_id)
        .where(is_one_of(assignments.c.client_id, client_ids))
        .group_by(assignments.c.client_id)
    )
    return {row[0]: Participation(row[1], row[2]) for row in tx.execute(query)}


def enrolled(tx: Connection, task_id: str) -> list[str]:
    """Ids of all clients that may take part in a task, in the order of their enrolment."""
    query = select(clients.c.id).where(clients.c.task_id == task_id, clients.c.revoked_at.is_(None))
    return list(tx.execute(query.order_by(clients.c.enrolled_at, clients.c.id)).scalars())


def insert_receipts(
    tx: Connection, round_id: str, partial_sum_id: str, new: Sequence[NewReceipt], now: datetime
) -> set[str]:
    """Write receipts; returns the assignment ids that got one now.

    The others have one already, or do not exist, or their client was revoked or has another key.
    """
    written = _INSERT_RECEIPTS.run(
        tx,
        report_ids=joined([receipt.report_id for receipt in new]),
        assignment_ids=joined([receipt.assignment_id for receipt in new]),
        bodies=joined([receipt.body_sha256.hex() for receipt in new]),
        device_keys=joined([receipt.device_key.hex() if receipt.device_key else _ANY_KEY for receipt in new]),
        round_id=round_id,
        partial_sum_id=partial_sum_id,
        accepted_at=now,
    )
    return {assignment_id for (assignment_id,) in written}


def receipt_of(new: NewReceipt, round_id: str, now: datetime) -> Receipt:
    """A receipt as its client sees it."""
    return Receipt(
        report_id=new.report_id,
        assignment_id=new.assignment_id,
        round_id=round_id,
        content_digest=digest.format_digest(new.body_sha256),
        accepted_at=now,
    )


def _row(row: tuple[Any, ...]) -> AssignmentRow:
    id_, round_id, client_id, expires_at, state, revoked_at, device_key, report_id, body_sha256, accepted_at = row
    receipt = None
    if report_id is not None:
        receipt = receipt_of(NewReceipt(report_id, id_, body_sha256), round_id, accepted_at)
    is_revoked = revoked_at is not None
    return AssignmentRow(id_, round_id, client_id, expires_at, RoundState(state), is_revoked, device_key, receipt)


def _with_receipts() -> Select[tuple[Any, ...]]:
    columns = (
        assignments.c.id,
        assignments.c.round_id,
        assignments.c.client_id,
        assignments.c.expires_at,
        rounds.c.state,
        clients.c.revoked_at,
        clients.c.public_key,
        receipts.c.report_id,
        receipts.c.body_sha256,
        receipts.c.accepted_at,
    )
    with_receipt = assignments.outerjoin(receipts, receipts.c.assignment_id == assignments.c.id)
    with_round = with_receipt.join(rounds, rounds.c.id == assignments.c.round_id)
    return select(*columns).select_from(with_round.join(clients, clients.c.id == assignments.c.client_id))


def _insert_receipts() -> Insert:
    names = ("report_id", "assignment_id", "body", "device_key")
    arrays = (array_of(texts(name)) for name in ("report_ids", "assignment_ids", "bodies", "device_keys"))
    new = func.unnest(*arrays).table_valued(*(column(name, String) for name in names)).render_derived("new")
    assigned = new.join(assignments, assignments.c.id == new.c.assignment_id)
    holders = assigned.join(clients, clients.c.id == assignments.c.client_id)
    has_its_key = func.encode(clients.c.public_key, "hex") == new.c.device_key
    values = {
        "report_id": new.c.report_id,
        "assignment_id": new.c.assignment_id,
        "round_id": bindparam("round_id", type_=String),
        "partial_sum_id": bindparam("partial_sum_id", type_=String),
        "body_sha256": func.decode(new.c.body, "hex", type_=LargeBinary),
        "accepted_at": bindparam("accepted_at", type_=DateTime(timezone=True)),
    }
    rows = select(*values.values()).select_from(holders)
    rows = rows.where(clients.c.revoked_at.is_(None), has_its_key | (new.c.device_key == _ANY_KEY))
    statement = upsert(receipts).from_select(list(values), rows)
    return statement.on_conflict_do_nothing(index_elements=["assignment_id"]).returning(receipts.c.assignment_id)


# With every report or check-in.
_FIND = Statement(_with_receipts().where(is_one_of(assignments.c.id, texts("ids"))))
_OF_CLIENTS = Statement(
    _with_receipts().where(
        assignments.c.round_id == bindparam("round_id"), is_one_of(assignments.c.client_id, texts("ids"))
    )
)
_INSERT_RECEIPTS = Statement(_insert_receipts())
