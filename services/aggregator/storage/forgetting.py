"""Clients that are forgotten: which they are, and what goes with them."""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import ColumnElement, Connection, String, cast, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import insert as upsert

from services.aggregator.domain.rounds import UNDER_WAY
from services.aggregator.storage.ids import is_one_of
from services.aggregator.storage.tables import assignments, clients, erasures, receipts, rounds


def unseen(tx: Connection, seen_before: date, limit: int) -> list[str]:
    """Clients that were last seen before a day and that nothing needs any more.

    Receipts keep a client: they bound how often it takes part. So does a round under way.
    """
    query = select(clients.c.id).where(_is_unseen(seen_before), ~_is_in_round())
    return list(tx.execute(query.limit(limit)).scalars())


def lock_unseen(tx: Connection, seen_before: date, among: Sequence[str]) -> list[str]:
    """Those among some clients of which that is still true, locked until the transaction ends."""
    return _locked(tx, _is_unseen(seen_before) & is_one_of(clients.c.id, among), len(among))


def lock_to_be_erased(tx: Connection, limit: int) -> list[str]:
    """Clients whose erasure was asked for and that no round under way needs, locked until the transaction ends."""
    is_asked_for = select(erasures.c.client_id).where(erasures.c.client_id == clients.c.id).exists()
    return _locked(tx, is_asked_for, limit)


def lock(tx: Connection, client_id: str) -> bool:
    """Keep a client from getting assignments until the transaction ends; false where there is none."""
    query = select(clients.c.id).where(clients.c.id == client_id).with_for_update()
    return tx.execute(query).scalar() is not None


def is_in_round(tx: Connection, client_id: str) -> bool:
    """Whether a round under way has an assignment of this client."""
    return tx.execute(select(clients.c.id).where(clients.c.id == client_id, _is_in_round())).scalar() is not None


def ask_to_erase(tx: Connection, client_id: str, now: datetime) -> None:
    """Remember that a client is to be erased when its round is over."""
    tx.execute(upsert(erasures).values(client_id=client_id, asked_at=now).on_conflict_do_nothing())


def delete_clients(tx: Connection, client_ids: Sequence[str]) -> None:
    """Delete clients that are locked, with their assignments and receipts and what was held against them."""
    theirs = select(assignments.c.id).where(assignments.c.client_id.in_(client_ids))
    tx.execute(delete(receipts).where(receipts.c.assignment_id.in_(theirs)))
    tx.execute(delete(assignments).where(assignments.c.client_id.in_(client_ids)))
    tx.execute(delete(erasures).where(erasures.c.client_id.in_(client_ids)))
    _forget_blame(tx, client_ids)
    tx.execute(delete(clients).where(clients.c.id.in_(client_ids)))


def _forget_blame(tx: Connection, client_ids: Sequence[str]) -> None:
    ids = literal(list(client_ids), ARRAY(String))
    tasks = select(clients.c.task_id).where(clients.c.id.in_(client_ids))
    without = rounds.c.blamed.op("-", return_type=JSONB())(ids)
    theirs = rounds.c.task_id.in_(tasks) & rounds.c.blamed.has_any(ids)
    tx.execute(update(rounds).where(theirs).values(blamed=func.nullif(without, cast(literal("{}"), JSONB))))


def _locked(tx: Connection, condition: ColumnElement[bool], limit: int) -> list[str]:
    """Clients that meet a condition and have no assignment in a round under way; not those that others have locked."""
    is_idle = condition & ~_is_in_round()
    query = select(clients.c.id).where(is_idle).limit(limit).with_for_update(skip_locked=True)
    locked = tx.execute(query).scalars().all()
    # Again, now that they get no new assignment: one may have got one before it was locked.
    return list(tx.execute(select(clients.c.id).where(clients.c.id.in_(locked), is_idle)).scalars())


def _is_unseen(seen_before: date) -> ColumnElement[bool]:
    query = select(receipts.c.report_id).join(assignments, assignments.c.id == receipts.c.assignment_id)
    has_receipt = query.where(assignments.c.client_id == clients.c.id).exists()
    return (clients.c.seen_on < seen_before) & ~has_receipt


def _is_in_round() -> ColumnElement[bool]:
    query = select(assignments.c.id).join(rounds, rounds.c.id == assignments.c.round_id)
    return query.where(assignments.c.client_id == clients.c.id, rounds.c.state.in_(UNDER_WAY)).exists()
