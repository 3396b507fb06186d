"""Assignments and receipts in Postgres."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    Connection,
    DateTime,
    LargeBinary,
    Row,
    Select,
    String,
    func,
    insert,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from fedrec_protocol import digest
from fedrec_protocol.messages import Receipt, RoundState
from services.aggregator.storage.ids import is_one_of
from services.aggregator.storage.tables import assignments, clients, receipts, rounds


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


@dataclass(frozen=True)
class NewReceipt:
    """A receipt about to be written."""

    report_id: str
    assignment_id: str
    body_sha256: bytes


@dataclass(frozen=True)
class Participation:
    """What a client has done in its task before."""

    reports: int
    last_round: int


def find(tx: Connection, assignment_ids: Sequence[str]) -> dict[str, AssignmentRow]:
    """Assignments by id; those that do not exist are left out."""
    return {row.id: row for row in _rows(tx, _query().where(is_one_of(assignments.c.id, assignment_ids)))}


def of_clients(tx: Connection, round_id: str, client_ids: Sequence[str]) -> dict[str, AssignmentRow]:
    """Assignments of some clients in one round, by client id."""
    query = _query().where(assignments.c.round_id == round_id, is_one_of(assignments.c.client_id, client_ids))
    return {row.client_id: row for row in _rows(tx, query)}


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


def participations(tx: Connection, task_id: str, client_ids: Sequence[str]) -> dict[str, Participation]:
    """What clients have reported in a task so far; those who have not are left out."""
    query = (
        select(assignments.c.client_id, func.count(), func.max(rounds.c.number))
        .join(receipts, receipts.c.assignment_id == assignments.c.id)
        .join(rounds, rounds.c.id == assignments.c.round_id)
        .where(rounds.c.task_id == task_id, is_one_of(assignments.c.client_id, client_ids))
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
    """Write receipts; returns the assignment ids that got one now, and did not have one before."""
    # Arrays keep the statement the same for any number of rows: a row of parameters for each of hundreds of
    # receipts costs more to put together than the receipts to write.
    rows = (
        func.unnest(
            literal([receipt.report_id for receipt in new], ARRAY(String)),
            literal([receipt.assignment_id for receipt in new], ARRAY(String)),
            literal([receipt.body_sha256 for receipt in new], ARRAY(LargeBinary)),
        )
        .table_valued("report_id", "assignment_id", "body_sha256")
        .render_derived()
    )
    values = {
        "report_id": rows.c.report_id,
        "assignment_id": rows.c.assignment_id,
        "round_id": literal(round_id),
        "partial_sum_id": literal(partial_sum_id),
        "body_sha256": rows.c.body_sha256,
        "accepted_at": literal(now, DateTime(timezone=True)),
    }
    statement = upsert(receipts).from_select(list(values), select(*values.values()))
    statement = statement.on_conflict_do_nothing(index_elements=["assignment_id"])
    return set(tx.execute(statement.returning(receipts.c.assignment_id)).scalars())


def receipt_of(new: NewReceipt, round_id: str, now: datetime) -> Receipt:
    """A receipt as its client sees it."""
    return Receipt(
        report_id=new.report_id,
        assignment_id=new.assignment_id,
        round_id=round_id,
        content_digest=digest.format_digest(new.body_sha256),
        accepted_at=now,
    )


def _query() -> Select[tuple[Any, ...]]:
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


def _rows(tx: Connection, query: Select[tuple[Any, ...]]) -> list[AssignmentRow]:
    return [_row(row) for row in tx.execute(query)]


def _row(row: Row[*tuple[Any, ...]]) -> AssignmentRow:
    receipt = None
    if row.report_id is not None:
        receipt = receipt_of(NewReceipt(row.report_id, row.id, row.body_sha256), row.round_id, row.accepted_at)
    return AssignmentRow(
        row.id,
        row.round_id,
        row.client_id,
        row.expires_at,
        RoundState(row.state),
        row.revoked_at is not None,
        row.public_key,
        receipt,
    )
