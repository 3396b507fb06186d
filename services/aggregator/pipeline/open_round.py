"""Open the next round of a task, or complete it."""

from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import Connection

from fedrec_protocol.messages import RoundKind, RoundState, TaskState
from fedrec_protocol.secagg.of_task import round_deadlines
from services.aggregator.domain import sealing
from services.aggregator.domain.privacy.ledger import BudgetExceeded
from services.aggregator.domain.privacy.task import NoisyRound, charge_for
from services.aggregator.domain.rounds import Round
from services.aggregator.domain.tasks import Next, Task, next_step
from services.aggregator.pipeline.context import Context
from services.aggregator.pipeline.secure.open import open_secure
from services.aggregator.storage import ledgers, notifications, rounds, tasks
from services.kit.ids import new_id

log = structlog.get_logger(__name__)


def open_round(context: Context, task_id: str) -> Round | None:
    """Open the next round unless one is under way; None when none was opened."""

    def step(tx: Connection) -> Round | None:
        task = tasks.get(tx, task_id, lock=True)
        current = rounds.current(tx, task_id)
        under_way = current is not None and current.state in {RoundState.COLLECTING, RoundState.AGGREGATING}
        return None if under_way else advance(tx, context, task)

    return context.db.run("open_round", step)


def advance(tx: Connection, context: Context, task: Task) -> Round | None:
    """Open the next round of a locked task that has none under way, or complete the task."""
    if task.state is not TaskState.ACTIVE or task.current_version is None:
        return None
    convergence = task.manifest.stop.convergence
    history = rounds.metric_history(tx, task.id, convergence.metric) if convergence else []
    following = next_step(task, rounds.last_published_kind(tx, task.id), history)
    overspent = None if following.kind is None else _overspent(tx, task, following.kind)
    if overspent is not None:
        following = Next(None, f"the privacy budget is used up: {overspent}")
    if following.kind is None:
        tasks.save(tx, task.completed(following.reason))
        notifications.notify(tx, notifications.ROUNDS, task.id)
        log.info("task completed", task_id=task.id, reason=following.reason)
        return None
    manifest, now = task.manifest, context.now()
    deadline = now + timedelta(seconds=manifest.rounds.deadline_seconds)
    if manifest.secure_aggregation is not None:
        deadline = datetime.fromtimestamp(round_deadlines(manifest, now).report, UTC)
    opened = Round(
        id=new_id("rnd"),
        task_id=task.id,
        number=rounds.next_number(tx, task.id),
        kind=following.kind,
        state=RoundState.COLLECTING,
        base=task.current_version,
        opened_at=now,
        deadline=deadline,
    )
    wrapped = sealing.wrap(sealing.new_round_key(), context.deployment_keys[0], opened.id)
    rounds.insert_round(tx, opened, wrapped)
    if manifest.secure_aggregation is not None:
        open_secure(tx, context, manifest, opened)
    notifications.notify(tx, notifications.ROUNDS, task.id)
    log.info("round opened", task_id=task.id, round_id=opened.id, number=opened.number, kind=opened.kind)
    return opened


def _overspent(tx: Connection, task: Task, kind: RoundKind) -> str | None:
    """Why the privacy budget has no room for the next round; None where it has, or where there is none."""
    manifest = task.manifest
    if manifest.privacy is None:
        return None
    ledger = ledgers.find(tx, manifest.model)
    if ledger is None:
        return "the ledger is missing"
    following = NoisyRound(manifest, manifest.privacy, kind, rounds.next_number(tx, task.id), task.rounds_published)
    try:
        ledger.require_room_for(charge_for(following, "next"))
    except BudgetExceeded as error:
        return str(error)
    return None
