"""Rounds that are over, and what of them may go."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Integer, ScalarSelect, delete, func, or_, select, update

from fedrec_protocol.messages import RoundState, TaskState
from services.aggregator.domain.retention import Kept
from services.aggregator.domain.rounds import UNDER_WAY
from services.aggregator.storage.tables import assignments, receipts, rounds, tasks

_IS_OVER = rounds.c.state.not_in(UNDER_WAY)


def next_with_unreported(tx: Connection, closed_before: datetime) -> str | None:
    """A round whose unreported assignments are still there; locked, and None where somebody else has the last one."""
    return _next(tx, Kept.EVERYTHING, closed_before, _IS_OVER)


def next_with_receipts(tx: Connection, closed_before: datetime) -> str | None:
    """A round whose receipts bound nobody's participation any more; locked, as above."""
    policy = tasks.c.manifest["rounds"]
    separation = policy["minimum_separation"].astext.cast(Integer)
    is_long_ago = or_(separation <= 1, rounds.c.number + separation <= _newest_number())
    is_unbounded = policy["maximum_participations"].astext.is_(None) & is_long_ago
    over = or_(tasks.c.state == TaskState.COMPLETED, is_unbounded)
    return _next(tx, Kept.RECEIPTS, closed_before, _IS_OVER & over)


def delete_unreported(tx: Connection, round_id: str) -> int:
    """Delete a round's assignments that have no receipt; returns how many."""
    reported = select(receipts.c.assignment_id).where(receipts.c.assignment_id == assignments.c.id)
    gone = tx.execute(delete(assignments).where(assignments.c.round_id == round_id, ~reported.exists())).rowcount
    _set(tx, round_id, Kept.RECEIPTS)
    return gone


def delete_receipts(tx: Connection, round_id: str) -> int:
    """Delete a round's receipts and their assignments, and an abandoned round itself; returns how many assignments."""
    tx.execute(delete(receipts).where(receipts.c.round_id == round_id))
    gone = tx.execute(delete(assignments).where(assignments.c.round_id == round_id)).rowcount
    # The numbers of rounds go on from the newest one, whatever became of it.
    is_idle = (rounds.c.state == RoundState.ABANDONED) & (rounds.c.number < _newest_number())
    if not tx.execute(delete(rounds).where(rounds.c.id == round_id, is_idle)).rowcount:
        _set(tx, round_id, Kept.NOTHING)
    return gone


def _newest_number() -> ScalarSelect[int]:
    """The number of the newest round of a round's task."""
    others = rounds.alias("others")
    query = select(func.max(others.c.number)).where(others.c.task_id == rounds.c.task_id)
    return query.correlate(rounds).scalar_subquery()


def _next(tx: Connection, kept: Kept, closed_before: datetime, condition: ColumnElement[bool]) -> str | None:
    query = select(rounds.c.id).join(tasks, tasks.c.id == rounds.c.task_id)
    query = query.where(rounds.c.kept == kept, rounds.c.closed_at < closed_before, condition)
    query = query.order_by(rounds.c.closed_at).limit(1).with_for_update(of=rounds, skip_locked=True)
    found: str | None = tx.execute(query).scalar()
    return found


def _set(tx: Connection, round_id: str, kept: Kept) -> None:
    tx.execute(update(rounds).where(rounds.c.id == round_id).values(kept=kept))
