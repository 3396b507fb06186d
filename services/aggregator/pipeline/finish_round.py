"""Take a closed round to its end, or stop its task where only an operator can help."""

import structlog
from sqlalchemy import Connection

from fedrec_protocol.messages import RoundState, TaskState
from services.aggregator.domain.errors import RegistryRefused
from services.aggregator.domain.rounds import Round
from services.aggregator.pipeline.about import about
from services.aggregator.pipeline.aggregate import aggregate
from services.aggregator.pipeline.close import abandon
from services.aggregator.pipeline.context import Context
from services.aggregator.pipeline.encrypted.offer import waits_for_silos
from services.aggregator.pipeline.held_round import held_round
from services.aggregator.pipeline.publish import publish
from services.aggregator.storage import notifications, outcomes, tasks
from services.aggregator.storage.leases import Lease
from services.aggregator.storage.ledgers import LedgerRestored

log = structlog.get_logger(__name__)


def finish_round(context: Context, round_id: str, lease: Lease) -> None:
    """Take the sum of a closed round and publish what it comes to; ask its silos first, if only they can read it.

    A registry that refuses would refuse again, and a ledger that was restored does not mend by itself: the task fails
    with the reason, the round keeps what it has, and goes on from there when an operator resumes the task.

    Raises:
        Unavailable: the registry cannot be reached; try again later.
        FencedOff: another worker has taken over.
    """
    try:
        if waits_for_silos(context, round_id, lease):
            return
        aggregate(context, round_id, lease)
        publish(context, round_id, lease)
    except (RegistryRefused, LedgerRestored) as refusal:
        reason = str(refusal)
        stopped = context.db.run("stop_task", lambda tx: _stop(tx, context, round_id, lease, reason))
        what = "round abandoned" if stopped.state is RoundState.ABANDONED else "task failed"
        log.error(what, **about(stopped), reason=reason)


def _stop(tx: Connection, context: Context, round_id: str, lease: Lease, reason: str) -> Round:
    round_ = held_round(tx, round_id, lease)
    task = tasks.get(tx, round_.task_id, lock=True)
    if task.state is TaskState.COMPLETED:  # cancelled meanwhile: nobody would resume it
        for key in outcomes.discard(tx, round_id):
            context.home.delete(tx, key)
        round_ = round_.abandoned(reason, context.now())
        abandon(tx, context, round_)
        return round_
    tasks.save(tx, task.failed(f"round {round_.number}: {reason}"))
    notifications.notify(tx, notifications.ROUNDS, task.id)
    return round_
