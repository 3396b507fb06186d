"""Put the encrypted sum of a closed round where its silos find it."""

import hashlib
from datetime import timedelta

import structlog
from sqlalchemy import Connection

from fedrec_protocol.encrypted.words import reduced, to_bytes
from fedrec_protocol.homomorphic_encryption import HomomorphicEncryption
from fedrec_protocol.messages import RoundState
from services.aggregator.domain import sealing
from services.aggregator.domain.encrypted_reports import EncryptedFormat
from services.aggregator.domain.rounds import Round
from services.aggregator.domain.tasks import Task
from services.aggregator.pipeline.about import about
from services.aggregator.pipeline.context import Context
from services.aggregator.pipeline.give_up import give_up
from services.aggregator.pipeline.held_round import held_round
from services.aggregator.pipeline.merge import KeyErased, merge, round_key
from services.aggregator.storage import encrypted_sums, outcomes, rounds, tasks
from services.aggregator.storage.encrypted_sums import EncryptedSumRow
from services.aggregator.storage.leases import Lease
from services.kit.objects import ObjectMissing

log = structlog.get_logger(__name__)


def waits_for_silos(context: Context, round_id: str, lease: Lease) -> bool:
    """Whether a closed round goes on with its silos, who are offered its sum now if they were not before.

    Raises:
        FencedOff: another worker has taken over; nothing was stored.
    """

    def read(tx: Connection) -> tuple[Task, Round, EncryptedSumRow | None, bool]:
        round_ = rounds.get(tx, round_id)
        has_outcome = outcomes.get(tx, round_id) is not None
        return tasks.get(tx, round_.task_id), round_, encrypted_sums.find(tx, round_id), has_outcome

    task, round_, offered, has_outcome = context.db.run("read_round", read)
    terms = task.manifest.homomorphic_encryption
    if terms is None or has_outcome or round_.state is not RoundState.AGGREGATING:
        return False
    if offered is not None:
        return offered.agreed is None  # another worker has offered it since this one looked for what is due
    try:
        _offer(context, task, terms, round_, lease)
    except (KeyErased, sealing.SealBroken, ObjectMissing) as error:
        give_up(context, round_, lease, str(error))
    return True


def sum_name(round_id: str) -> str:
    """What a sealed encrypted sum is bound to."""
    return f"{round_id}:encrypted-sum"


def _offer(context: Context, task: Task, terms: HomomorphicEncryption, round_: Round, lease: Lease) -> None:
    size = EncryptedFormat.of(task.manifest, terms, round_.kind).layout.size
    total, reports = context.db.run("merge_partial_sums", lambda tx: merge(tx, context, round_, size))
    body = to_bytes(reduced(total))
    deadline = context.now() + timedelta(seconds=terms.decrypt_seconds)

    def write(tx: Connection) -> None:
        sealed = sealing.seal(memoryview(body), round_key(tx, context, round_.id), sum_name(round_.id))
        key = context.home.put(tx, sealed)
        held_round(tx, round_.id, lease)
        new = EncryptedSumRow(round_.id, key, hashlib.sha256(body).digest(), deadline, None)
        encrypted_sums.insert_sum(tx, new)

    context.db.run("offer_encrypted_sum", write)
    log.info("silos decrypt", **about(round_), reports=reports)
