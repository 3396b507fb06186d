"""Pause, resume and cancel tasks."""

from sqlalchemy import Connection

from fedrec_protocol.messages import RoundState
from fedrec_protocol.operator_messages import TaskView
from services.aggregator.domain.tasks import Task
from services.aggregator.pipeline.close import abandon
from services.aggregator.pipeline.context import Context
from services.aggregator.pipeline.erase_memory import erase_memory
from services.aggregator.storage import audit, notifications, rounds, tasks


def pause_task(context: Context, task_id: str, operator: str) -> TaskView:
    """Open no new round; the open one may finish."""
    return context.db.run("pause_task", lambda tx: _save(tx, context, _get(tx, task_id).paused(operator), operator))


def resume_task(context: Context, task_id: str, operator: str) -> TaskView:
    """Open rounds again."""
    return context.db.run("resume_task", lambda tx: _save(tx, context, _get(tx, task_id).resumed(operator), operator))


def cancel_task(context: Context, task_id: str, operator: str) -> TaskView:
    """End the task now; an open round is abandoned, and what it collected is erased."""

    def step(tx: Connection) -> TaskView:
        # Rounds open under their task's lock only: with it, none opens behind our back. Closing a round locks
        # them the other way round; the database notices, and one of the two is run again.
        cancelled = _get(tx, task_id).cancelled(operator)
        current = rounds.current(tx, task_id)
        last = None if current is None else rounds.get(tx, current.id, lock=True)
        if last is not None and last.state is RoundState.COLLECTING:
            abandon(tx, context, last.abandoned(f"the task was cancelled by {operator}", context.now()))
        if last is None or last.state is not RoundState.AGGREGATING:  # that one still needs what the task remembers
            erase_memory(tx, context, cancelled)
        return _save(tx, context, cancelled, operator)

    return context.db.run("cancel_task", step)


def _get(tx: Connection, task_id: str) -> Task:
    return tasks.get(tx, task_id, lock=True)


def _save(tx: Connection, context: Context, task: Task, operator: str) -> TaskView:
    tasks.save(tx, task)
    audit.record(tx, operator, task.state_reason.split(" by ")[0] + " task", task.id, context.now())
    notifications.notify(tx, notifications.WORK)
    notifications.notify(tx, notifications.ROUNDS, task.id)
    return tasks.view(tx, task.id)
