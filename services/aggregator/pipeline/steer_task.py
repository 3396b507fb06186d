"""Pause, resume and cancel tasks."""

import structlog
from sqlalchemy import Connection

from fedrec_protocol.messages import RoundState
from fedrec_protocol.operator_messages import TaskView
from services.aggregator.domain.errors import TaskNotActive
from services.aggregator.domain.tasks import Task
from services.aggregator.pipeline.close import abandon
from services.aggregator.pipeline.context import Context
from services.aggregator.pipeline.erase_memory import erase_memory
from services.aggregator.storage import audit, ledgers, notifications, rounds, tasks
from services.aggregator.storage.ledgers import LedgerRestored

log = structlog.get_logger(__name__)


def pause_task(context: Context, task_id: str, operator: str) -> TaskView:
    """Open no new round; the open one may finish."""
    paused = context.db.run(
        "pause_task", lambda tx: _save(tx, context, _get(tx, task_id).paused(operator), "pause", operator)
    )
    log.info("task paused", task_id=task_id, operator=operator)
    return paused


def resume_task(context: Context, task_id: str, operator: str) -> TaskView:
    """Open rounds again.

    Raises:
        TaskNotActive: it has not stopped, or is held because its privacy ledger was restored.
    """

    def step(tx: Connection) -> TaskView:
        task = _get(tx, task_id)
        try:
            ledgers.require_whole(tx, task.manifest.model)
        except LedgerRestored as held:
            raise TaskNotActive(str(held)) from held
        return _save(tx, context, task.resumed(operator), "resume", operator)

    resumed = context.db.run("resume_task", step)
    log.info("task resumed", task_id=task_id, operator=operator)
    return resumed


def cancel_task(context: Context, task_id: str, operator: str) -> TaskView:
    """End the task now; an open round is abandoned, and what it collected is erased."""
    cancelled = context.db.run("cancel_task", lambda tx: cancel(tx, context, task_id, operator))
    log.info("task cancelled", task_id=task_id, operator=operator)
    return cancelled


def cancel(tx: Connection, context: Context, task_id: str, operator: str) -> TaskView:
    """The same within a transaction."""
    # Rounds open under their task's lock only: with it, none opens behind our back. Closing a round locks
    # them the other way round; the database notices, and one of the two is run again.
    cancelled = _get(tx, task_id).cancelled(operator)
    current = rounds.current(tx, task_id)
    last = None if current is None else rounds.get(tx, current.id, lock=True)
    if last is not None and last.state is RoundState.COLLECTING:
        abandon(tx, context, last.abandoned(f"the task was cancelled by {operator}", context.now()))
    if last is None or last.state is not RoundState.AGGREGATING:  # that one still needs what the task remembers
        erase_memory(tx, context, cancelled)
    return _save(tx, context, cancelled, "cancel", operator)


def _get(tx: Connection, task_id: str) -> Task:
    return tasks.get(tx, task_id, lock=True)


def _save(tx: Connection, context: Context, task: Task, action: str, operator: str) -> TaskView:
    tasks.save(tx, task)
    audit.record(tx, operator, f"{action} task", task.id, context.now())
    notifications.notify(tx, notifications.WORK)
    notifications.notify(tx, notifications.ROUNDS, task.id)
    return tasks.view(tx, task.id)
