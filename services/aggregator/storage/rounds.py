"""Rounds in Postgres."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, bindparam, func, insert, select, update

from fedrec_protocol.messages import ModelReference, RoundKind, RoundState, TaskState
from fedrec_protocol.secure_messages import SecurePhase
from services.aggregator.domain import rounds as domain
from services.aggregator.domain.errors import UnknownRound
from services.aggregator.domain.rounds import Round
from services.aggregator.storage.tables import (
    assignments,
    encrypted_sums,
    partial_sums,
    receipts,
    rounds,
    secure_rounds,
    tasks,
)
from services.kit.driver import Statement

_RECENT_ROUNDS = 5
# With every batch of reports.
_STATE_KEPT = Statement(
    select(rounds.c.number, rounds.c.state).where(rounds.c.id == bindparam("round_id")).with_for_update(read=True)
)


def insert_round(tx: Connection, round_: Round, wrapped_key: bytes) -> None:
    """Store a new round with its wrapped key."""
    tx.execute(
        insert(rounds).values(
            id=round_.id,
            task_id=round_.task_id,
            number=round_.number,
            kind=round_.kind,
            state=round_.state,
            base=round_.base.model_dump(mode="json"),
            opened_at=round_.opened_at,
            deadline=round_.deadline,
            wrapped_key=wrapped_key,
            clipping_norm=round_.clipping_norm,
            drawn=round_.drawn,
        )
    )


def get(tx: Connection, round_id: str, *, lock: bool = False) -> Round:
    """One round; with `lock`, no report is committed to it until the transaction ends.

    Raises:
        UnknownRound: there is none.
    """
    query = select(rounds).where(rounds.c.id == round_id)
    row = tx.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    if row is None:
        raise UnknownRound(f"there is no round {round_id!r}")
    return to_round(row)


def require_collecting(tx: Connection, round_id: str) -> None:
    """Keep the round open until the transaction ends; many reports may do so side by side.

    Raises:
        RoundClosed: it no longer collects.
    """
    rows = _STATE_KEPT.run(tx, round_id=round_id)
    if not rows:
        raise UnknownRound(f"there is no round {round_id!r}")
    number, state = rows[0]
    domain.require_collecting(number, RoundState(state))


def save(tx: Connection, round_: Round) -> None:
    """Store what the domain returned."""
    tx.execute(
        update(rounds)
        .where(rounds.c.id == round_.id)
        .values(state=round_.state, closed_at=round_.closed_at, abandoned_reason=round_.abandoned_reason)
    )


def wrapped_key(tx: Connection, round_id: str) -> bytes | None:
    """The round's wrapped key; None once it was erased."""
    key: bytes | None = tx.execute(select(rounds.c.wrapped_key).where(rounds.c.id == round_id)).scalar_one()
    return key


def erase_key(tx: Connection, round_id: str) -> None:
    """Make everything that was sealed in this round unreadable."""
    tx.execute(update(rounds).where(rounds.c.id == round_id).values(wrapped_key=None))


def current(tx: Connection, task_id: str) -> Round | None:
    """The round of a task that is under way, or else its newest."""
    query = select(rounds).where(rounds.c.task_id == task_id).order_by(rounds.c.number.desc()).limit(1)
    row = tx.execute(query).mappings().one_or_none()
    return None if row is None else to_round(row)


def next_number(tx: Connection, task_id: str) -> int:
    """Number of the task's next round, from 1."""
    return 1 + (tx.execute(select(func.max(rounds.c.number)).where(rounds.c.task_id == task_id)).scalar() or 0)


def mean_seconds(tx: Connection, newest: Round, now: datetime) -> float:
    """Time from one round of a task to the next: the mean of the last few, or the newest one's age if that is more."""
    recent = (rounds.c.task_id == newest.task_id) & (rounds.c.number >= newest.number - _RECENT_ROUNDS)
    query = select(rounds.c.number, rounds.c.opened_at).where(recent).order_by(rounds.c.number).limit(1)
    first = tx.execute(query).one()
    mean: timedelta = (newest.opened_at - first.opened_at) / max(newest.number - first.number, 1)
    return max(mean, now - newest.opened_at).total_seconds()


def abandoned_in_a_row(tx: Connection, task_id: str) -> int:
    """Rounds abandoned since the last one that was published."""
    published = select(func.coalesce(func.max(rounds.c.number), 0)).where(
        rounds.c.task_id == task_id, rounds.c.state == RoundState.PUBLISHED
    )
    query = select(func.count()).where(
        rounds.c.task_id == task_id,
        rounds.c.state == RoundState.ABANDONED,
        rounds.c.number > published.scalar_subquery(),
    )
    return tx.execute(query).scalar_one()


def last_published_kind(tx: Connection, task_id: str) -> RoundKind | None:
    """Kind of the newest published round; None where there is none."""
    query = (
        select(rounds.c.kind)
        .where(rounds.c.task_id == task_id, rounds.c.state == RoundState.PUBLISHED)
        .order_by(rounds.c.number.desc())
        .limit(1)
    )
    kind = tx.execute(query).scalar()
    return None if kind is None else RoundKind(kind)


def next_clipping_norm(tx: Connection, task_id: str) -> float | None:
    """What the newest published training round says of the next one's clipping norm; None before there is one."""
    query = (
        select(rounds.c.next_clipping_norm)
        .where(
            rounds.c.task_id == task_id,
            rounds.c.state == RoundState.PUBLISHED,
            rounds.c.next_clipping_norm.is_not(None),
        )
        .order_by(rounds.c.number.desc())
        .limit(1)
    )
    norm: float | None = tx.execute(query).scalar()
    return norm


def metric_history(tx: Connection, task_id: str, metric: str) -> list[float]:
    """A metric of every base version that was measured, oldest first."""
    query = (
        select(rounds.c.metrics[metric].as_float())
        .where(rounds.c.task_id == task_id, rounds.c.state == RoundState.PUBLISHED, rounds.c.evaluated > 0)
        .order_by(rounds.c.number)
    )
    return list(tx.execute(query).scalars())


def report_count(tx: Connection, round_id: str) -> int:
    """Reports that are durable: a sum over the partial sums, of which there are few."""
    query = select(func.coalesce(func.sum(partial_sums.c.report_count), 0)).where(partial_sums.c.round_id == round_id)
    return int(tx.execute(query).scalar_one())


def collecting(tx: Connection) -> list[str]:
    """Ids of the rounds that collect, the first deadline first."""
    query = select(rounds.c.id).where(rounds.c.state == RoundState.COLLECTING).order_by(rounds.c.deadline)
    return list(tx.execute(query).scalars())


def aggregating(tx: Connection) -> list[str]:
    """Ids of the rounds whose sum is to be taken or published.

    Not of those whose masks are still on or whose silos decrypt, nor of those whose task waits for an operator.
    """
    masked = select(secure_rounds.c.round_id).where(
        secure_rounds.c.round_id == rounds.c.id, secure_rounds.c.phase != SecurePhase.UNMASKING
    )
    encrypted = select(encrypted_sums.c.round_id).where(
        encrypted_sums.c.round_id == rounds.c.id, encrypted_sums.c.agreed.is_(None)
    )
    failed = select(tasks.c.id).where(tasks.c.id == rounds.c.task_id, tasks.c.state == TaskState.FAILED)
    query = select(rounds.c.id).where(rounds.c.state == RoundState.AGGREGATING, ~masked.exists(), ~encrypted.exists())
    query = query.where(~failed.exists()).order_by(rounds.c.closed_at)
    return list(tx.execute(query).scalars())


def tasks_without_round(tx: Connection, now: datetime) -> list[str]:
    """Ids of the active tasks that have no round under way and may open one now."""
    under_way = select(rounds.c.task_id).where(rounds.c.task_id == tasks.c.id, rounds.c.state.in_(domain.UNDER_WAY))
    query = select(tasks.c.id).where(
        tasks.c.state == TaskState.ACTIVE,
        tasks.c.current_version.is_not(None),
        ~under_way.exists(),
        (tasks.c.retry_at.is_(None)) | (tasks.c.retry_at <= now),
    )
    return list(tx.execute(query).scalars())


def live_assignments(tx: Connection, round_id: str, now: datetime) -> int:
    """Assignments that are reported, or can still be."""
    query = (
        select(func.count())
        .select_from(assignments.outerjoin(receipts, receipts.c.assignment_id == assignments.c.id))
        .where(assignments.c.round_id == round_id, (assignments.c.expires_at > now) | receipts.c.report_id.is_not(None))
    )
    return tx.execute(query).scalar_one()


def to_round(row: RowMapping) -> Round:
    """A row as the domain's value."""
    return Round(
        id=row["id"],
        task_id=row["task_id"],
        number=row["number"],
        kind=RoundKind(row["kind"]),
        state=RoundState(row["state"]),
        base=ModelReference.model_validate(row["base"]),
        opened_at=row["opened_at"],
        deadline=row["deadline"],
        closed_at=row["closed_at"],
        abandoned_reason=row["abandoned_reason"],
        clipping_norm=row["clipping_norm"],
        drawn=row["drawn"],
    )
