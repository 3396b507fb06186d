"""Delete a task that is over, with everything that is kept of it but its privacy ledger."""

from functools import partial

import structlog
from sqlalchemy import Connection

from services.aggregator.domain.errors import TaskNotOver
from services.aggregator.pipeline.context import Context
from services.aggregator.storage import audit, deletion, rounds, tasks

log = structlog.get_logger(__name__)


def delete_task(context: Context, task_id: str, operator: str) -> None:
    """Delete a task's rounds, clients and keys, many rows in each transaction, and then the task.

    Cut short, and asked again, it goes on. A private task stays in the list with its manifest and its ledger: its
    versions are out in the world, and what they tell of people counts for ever.

    Raises:
        UnknownTask: there is none.
        TaskNotOver: it goes on, or its last round does.
    """
    context.db.run("begin_deletion", partial(_begin, context=context, task_id=task_id, operator=operator))
    while context.db.run("delete_rounds", partial(deletion.delete_rounds, task_id=task_id)):
        pass
    while context.db.run("delete_clients", partial(deletion.delete_clients, task_id=task_id)):
        pass
    context.db.run("end_deletion", partial(_end, task_id=task_id, operator=operator))
    log.info("task deleted", task_id=task_id, operator=operator)


def _begin(tx: Connection, *, context: Context, task_id: str, operator: str) -> None:
    tasks.get(tx, task_id, lock=True).require_over()
    last = rounds.current(tx, task_id)
    if last is not None and last.is_under_way:
        raise TaskNotOver(f"a worker still finishes round {last.number}: try again in a moment")
    audit.record(tx, operator, "delete task", task_id, context.now())
    deletion.delete_enrolment_keys(tx, task_id=task_id)


def _end(tx: Connection, *, task_id: str, operator: str) -> None:
    task = tasks.get(tx, task_id, lock=True)
    deletion.delete_rest(tx, task_id=task_id)
    if task.manifest.privacy is None:
        tasks.delete_task(tx, task_id)
    else:
        tasks.save(tx, task.deleted(operator))
