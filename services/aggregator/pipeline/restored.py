"""Tasks whose privacy ledger came back from a backup: nothing is released until an operator says what it misses."""

from functools import partial

import structlog
from sqlalchemy import Connection

from fedrec_protocol.messages import TaskState
from fedrec_protocol.operator_messages import TaskView
from services.aggregator.domain.errors import NoPrivacy
from services.aggregator.domain.privacy.task import may_go_on, unrecorded_charges
from services.aggregator.pipeline.context import Context
from services.aggregator.pipeline.steer_task import cancel
from services.aggregator.storage import audit, ledgers, notifications, rounds, tasks

log = structlog.get_logger(__name__)


def hold_restored(context: Context) -> None:
    """Stop the private tasks of a database that was restored, before anything is done for them."""
    for task_id in context.db.run("find_restored_tasks", ledgers.restored_tasks):
        context.db.run("hold_task", partial(_hold, task_id=task_id))
        log.error("task failed", task_id=task_id, reason=ledgers.RESTORED)


def _hold(tx: Connection, *, task_id: str) -> None:
    task = tasks.get(tx, task_id, lock=True)
    if task.state in {TaskState.ACTIVE, TaskState.PAUSED}:
        tasks.save(tx, task.failed(ledgers.RESTORED))
        notifications.notify(tx, notifications.ROUNDS, task_id)


def charge_unrecorded(context: Context, task_id: str, releases: int, operator: str) -> TaskView:
    """Enter what was released after the backup that a task's ledger comes from; then the task may be resumed.

    Where each participant's rounds are bounded or noise is correlated, a task that misses releases is cancelled: who
    took part, and which noise was used, is lost with them.

    Args:
        context: The process's.
        task_id: The task.
        releases: Rounds that were released, by the original or by anybody else, and are not in the ledger; for a
            task with local privacy, rounds for which a report came.
        operator: Who says so.

    Raises:
        UnknownTask: there is none.
        NoPrivacy: the task has no ledger.
    """

    def step(tx: Connection) -> TaskView:
        task = tasks.get(tx, task_id, lock=True)
        policy, lineage, now = task.manifest.privacy, task.manifest.model, context.now()
        ledger = None if policy is None else ledgers.find(tx, lineage)
        if policy is None or ledger is None:
            raise NoPrivacy("the manifest has no `privacy`: the task has no ledger")
        audit.record(tx, operator, f"state {releases} unrecorded releases", task_id, now)
        # Of a task that was deleted the rounds are gone, but not what was charged for them.
        after = max(rounds.next_number(tx, task_id), *(1 + entry.round_number for entry in ledger.charges))
        for charge in unrecorded_charges(task, policy, ledger, after=after, count=releases):
            ledgers.charge(tx, lineage, charge, now)
        if releases == 0 or may_go_on(task.manifest, ledger):
            ledgers.confirm(tx, lineage)
        elif task.state is not TaskState.COMPLETED:
            cancel(tx, context, task_id, operator)
        return tasks.view(tx, task_id)

    return context.db.run("charge_unrecorded", step)
