"""Close the rounds that are due: at the aggregation goal, or at the deadline."""

from datetime import timedelta

import structlog
from sqlalchemy import Connection

from fedrec_protocol.messages import RoundState, TaskState
from fedrec_protocol.privacy import LocalPrivacy
from services.aggregator.domain.privacy.task import NoisyRound, charge_for
from services.aggregator.domain.rounds import Round
from services.aggregator.domain.tasks import Task
from services.aggregator.pipeline.about import about
from services.aggregator.pipeline.context import Context
from services.aggregator.pipeline.erase_memory import erase_memory
from services.aggregator.storage import (
    encrypted_sums,
    leases,
    ledgers,
    notifications,
    partial_sums,
    rounds,
    secure_rounds,
    tasks,
)
from services.kit.ids import new_id

log = structlog.get_logger(__name__)

_LONGEST_BACK_OFF = timedelta(minutes=10)


def close_if_due(context: Context, round_id: str) -> Round | None:
    """Close or abandon one round if that is due; None when it is not."""

    def step(tx: Connection) -> Round | None:
        if _due(tx, context, rounds.get(tx, round_id)) is None:
            return None
        # Locking the row waits for the commits under way and stops later ones: the count is final.
        due = _due(tx, context, rounds.get(tx, round_id, lock=True))
        if due is None:
            return None
        if due.state is RoundState.ABANDONED:
            abandon(tx, context, due)
        else:
            rounds.save(tx, due)
        return due

    due = context.db.run("close_round", step)
    if due is not None:
        if due.state is RoundState.ABANDONED:
            log.warning("round abandoned", **about(due), reason=due.abandoned_reason)
        else:
            log.info("round closed", **about(due))
    return due


def _due(tx: Connection, context: Context, round_: Round) -> Round | None:
    if round_.state is not RoundState.COLLECTING:
        return None
    manifest = tasks.get(tx, round_.task_id).manifest
    if manifest.secure_aggregation is not None:
        return None  # its phases decide: see `pipeline.secure.advance`
    return round_.due(manifest.rounds, rounds.report_count(tx, round_.id), context.now())


def abandon(tx: Connection, context: Context, round_: Round) -> None:
    """Store an abandoned round: sums, secrets, key and lease are deleted, and the next round waits a little longer."""
    rounds.save(tx, round_)
    task = tasks.get(tx, round_.task_id)
    _charge_what_was_seen(tx, context, task, round_)
    for key in partial_sums.delete_of_round(tx, round_.id):
        context.home.delete(tx, key)
    for key in encrypted_sums.delete_of_round(tx, round_.id):
        context.home.delete(tx, key)
    secure_rounds.delete_round(tx, round_.id)
    rounds.erase_key(tx, round_.id)
    leases.retire(tx, round_.id)
    if task.state is TaskState.COMPLETED:  # cancelled while this round was being finished
        erase_memory(tx, context, task)
    failures = rounds.abandoned_in_a_row(tx, round_.task_id)
    back_off = min(timedelta(seconds=2 ** min(failures - 1, 20)), _LONGEST_BACK_OFF)
    tasks.retry_at(tx, round_.task_id, context.now() + back_off)
    notifications.notify(tx, notifications.ROUNDS, round_.task_id)


def _charge_what_was_seen(tx: Connection, context: Context, task: Task, round_: Round) -> None:
    """A report with local privacy is released by being sent: the operator has read it, whatever comes of the round."""
    policy = task.manifest.privacy
    if isinstance(policy, LocalPrivacy) and rounds.report_count(tx, round_.id) > 0:
        charge = charge_for(NoisyRound.of(task, policy, round_), new_id("chg"))
        ledgers.charge(tx, task.manifest.model, charge, context.now())
