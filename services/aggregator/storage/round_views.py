"""Rounds as operators see them."""

from datetime import datetime

from sqlalchemy import Connection, RowMapping, select

from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import RoundState, TaskState
from fedrec_protocol.operator_messages import RoundView
from services.aggregator.domain.errors import UnknownRound
from services.aggregator.domain.rounds import UNDER_WAY, waiting_for
from services.aggregator.domain.secure_round import in_words
from services.aggregator.domain.tasks import Task, what_follows
from services.aggregator.storage import encrypted_sums, secure_rounds, tasks
from services.aggregator.storage import rounds as round_queries
from services.aggregator.storage.secure_progress import progress
from services.aggregator.storage.tables import rounds


def view(tx: Connection, round_id: str, now: datetime) -> RoundView:
    """One round.

    Raises:
        UnknownRound: there is none.
    """
    row = tx.execute(select(rounds).where(rounds.c.id == round_id)).mappings().one_or_none()
    if row is None:
        raise UnknownRound(f"there is no round {round_id!r}")
    return _view(tx, tasks.get(tx, row["task_id"]), row, now)


def current(tx: Connection, task_id: str, now: datetime) -> RoundView:
    """The round of a task that is under way, or else its newest, which says what comes after it.

    Raises:
        UnknownTask: there is none.
        UnknownRound: the task has had none.
    """
    found = views(tx, task_id, now, limit=1)
    if not found:
        raise UnknownRound(f"task {task_id!r} has had no round yet")
    newest = found[0]
    if newest.state in UNDER_WAY:
        return newest
    follows = what_follows(tasks.get(tx, task_id), tasks.opens_at(tx, task_id), now)
    return newest.model_copy(update={"waiting_for": f"{newest.waiting_for}; {follows}"})


def views(tx: Connection, task_id: str, now: datetime, *, limit: int, before: int | None = None) -> list[RoundView]:
    """A task's rounds, newest first; with `before`, those with smaller numbers.

    Raises:
        UnknownTask: there is none.
    """
    task = tasks.get(tx, task_id)
    query = select(rounds).where(rounds.c.task_id == task_id).order_by(rounds.c.number.desc()).limit(limit)
    if before is not None:
        query = query.where(rounds.c.number < before)
    return [_view(tx, task, row, now) for row in tx.execute(query).mappings().all()]


def _words_of_phases(tx: Connection, round_id: str, manifest: TaskManifest) -> str:
    """How far a round is whose reports cannot be read; nothing for a plain one."""
    terms, encrypted = manifest.homomorphic_encryption, encrypted_sums.find(tx, round_id)
    if terms is not None and encrypted is not None and encrypted.agreed is None:
        return encrypted_sums.progress(tx, encrypted, terms).in_words()
    row = secure_rounds.find(tx, round_id)
    if row is None:
        return ""
    now = progress(tx, row)
    return in_words(row.secure, answered=now.answered, expected=now.expected)


def _view(tx: Connection, task: Task, row: RowMapping, now: datetime) -> RoundView:
    round_ = round_queries.to_round(row)
    policy, failure = task.manifest.rounds, task.state_reason if task.state is TaskState.FAILED else None
    # Of rounds that are over nothing else is read: there may be hundreds.
    reports, phases, published = row["report_count"] or 0, "", row["published_version"]
    if round_.is_under_way:
        reports = reports or round_queries.report_count(tx, round_.id)
        phases = _words_of_phases(tx, round_.id, task.manifest)
    collecting = round_.state is RoundState.COLLECTING
    assignments = round_queries.live_assignments(tx, round_.id, now) if collecting else reports
    return RoundView(
        round_id=round_.id,
        task_id=round_.task_id,
        number=round_.number,
        kind=round_.kind,
        state=round_.state,
        waiting_for=phases
        or waiting_for(round_, policy, reports=reports, assignments=assignments, task_failure=failure),
        base_version_id=round_.base.version_id,
        published_version_id=None if published is None else published["version_id"],
        opened_at=round_.opened_at,
        deadline=round_.deadline,
        closed_at=round_.closed_at,
        assignments=assignments,
        reports=reports,
        aggregation_goal=round_.goal(policy),
        minimum_reports=policy.minimum_reports,
        evaluated=row["evaluated"],
        metrics=row["metrics"],
        examples=row["weight"],
        blamed=row["blamed"] or {},
    )
