"""Take the sum of a closed round and turn it into the next parameters."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import structlog
from sqlalchemy import Connection

from fedrec_protocol import codec
from fedrec_protocol.messages import RoundKind, RoundState
from fedrec_protocol.secagg.of_task import round_layout
from fedrec_protocol.tensors import Tensors
from services.aggregator.domain import sealing
from services.aggregator.domain.aggregation import catalogue
from services.aggregator.domain.aggregation.rule import RoundSum, Step, Totals
from services.aggregator.domain.hidden_sum import HiddenSum
from services.aggregator.domain.kernels import Accumulator
from services.aggregator.domain.layout import Layout
from services.aggregator.domain.measured import Measured
from services.aggregator.domain.privacy.events import Charge
from services.aggregator.domain.rounds import Round
from services.aggregator.domain.tasks import Task
from services.aggregator.pipeline.about import about
from services.aggregator.pipeline.context import Context
from services.aggregator.pipeline.encrypted.decrypted import decrypted
from services.aggregator.pipeline.give_up import give_up
from services.aggregator.pipeline.held_round import held_round
from services.aggregator.pipeline.merge import KeyErased, merge
from services.aggregator.pipeline.noise import Memory, NoiseLost, releasable, store_memory
from services.aggregator.pipeline.secure.unmask import MasksStay, unmasked
from services.aggregator.storage import (
    encrypted_sums,
    ledgers,
    outcomes,
    partial_sums,
    rounds,
    secure_rounds,
    tasks,
)
from services.aggregator.storage.leases import Lease
from services.aggregator.storage.outcomes import Outcome
from services.kit.objects import ObjectMissing

log = structlog.get_logger(__name__)

_STATE_HEADER_BYTES = 4 * codec.MAXIMUM_HEADER_BYTES
"""A rule may remember several float64 tensors for each shared one."""


class NotReleasable(Exception):
    """The sum cannot become parameters; the round is abandoned."""


def aggregate(context: Context, round_id: str, lease: Lease) -> None:
    """Merge the partial sums, apply the rule, store the result, erase the sums and their key.

    A round whose sums cannot be read, or whose outcome is not finite, is abandoned: a round always ends.

    Raises:
        FencedOff: another worker has taken over; nothing was stored.
        LedgerRestored: the privacy ledger may miss releases; nothing was stored.
    """
    task, round_, outcome = context.db.run("read_round", lambda tx: _read(tx, round_id))
    if round_.state is not RoundState.AGGREGATING or outcome is not None:
        return
    layout = Layout.of(task.manifest, round_.kind)
    try:
        total = _sum(context, task, round_)
        release = releasable(context, task, round_, total.vector)
        step = _step(context, task, round_, release.vector, total.report_count)
    except MasksStay as error:
        give_up(context, round_, lease, str(error), error.blamed)
        return
    except (NotReleasable, KeyErased, NoiseLost, sealing.SealBroken, ObjectMissing) as error:
        give_up(context, round_, lease, str(error))
        return
    outcome = replace(
        _outcome(layout, release.vector, total.report_count, step), next_clipping_norm=release.next_clipping_norm
    )
    _store(context, task, round_, lease, _Release(outcome, step, release.charge, release.memory, total.blamed))


@dataclass(frozen=True)
class _Release:
    """What leaves a round, and what it costs."""

    outcome: Outcome
    step: Step | None
    charge: Charge | None
    memory: Memory | None
    """Noise that later rounds take back."""
    blamed: Mapping[str, str]
    """What is held against whom: words by client id."""


def _read(tx: Connection, round_id: str) -> tuple[Task, Round, Outcome | None]:
    round_ = rounds.get(tx, round_id)
    return tasks.get(tx, round_.task_id), round_, outcomes.get(tx, round_id)


def _sum(context: Context, task: Task, round_: Round) -> HiddenSum:
    """The exact sum of a round's reports, their number, and what is held against whom."""
    manifest = task.manifest
    if manifest.homomorphic_encryption is not None:
        return decrypted(context, manifest, manifest.homomorphic_encryption, round_)
    is_masked = manifest.secure_aggregation is not None
    size = round_layout(manifest, round_.kind).coordinates if is_masked else Layout.of(manifest, round_.kind).size
    vector, report_count = context.db.run("merge_partial_sums", lambda tx: merge(tx, context, round_, size))
    if is_masked:
        return unmasked(context, manifest, round_, vector, report_count)
    return HiddenSum(vector, report_count, {})


def _step(context: Context, task: Task, round_: Round, vector: Accumulator, report_count: int) -> Step | None:
    """What the rule makes of the sum; None for an evaluation, which changes no parameter."""
    if round_.kind is RoundKind.EVALUATION:
        return None
    layout = Layout.of(task.manifest, round_.kind)
    total = RoundSum(Totals(vector, layout), int(vector[layout.weight]), report_count)
    base = context.registry.weights(round_.base)
    step = catalogue.step_of_task(task.manifest, base, total, _rule_state(context, task))
    for name, values in (step.parameters or {}).items():
        if not np.isfinite(values).all():
            raise NotReleasable(f"tensor {name!r} would not be finite: lower the learning rate or the maximum norm")
    return step


def _rule_state(context: Context, task: Task) -> Tensors:
    def read(tx: Connection) -> bytes:
        key = tasks.rule_state_object(tx, task.id)
        return b"" if key is None else b"".join(context.home.read(tx, key))

    content = context.db.run("read_rule_state", read)
    return codec.decode(content, maximum_header_bytes=_STATE_HEADER_BYTES) if content else {}


def _outcome(layout: Layout, vector: Accumulator, report_count: int, step: Step | None) -> Outcome:
    measured = Measured.of(vector, layout, step)
    return Outcome(report_count, int(vector[layout.weight]), measured.evaluated, measured.metrics, None, None)


def _store(context: Context, task: Task, round_: Round, lease: Lease, release: _Release) -> None:
    outcome, step = release.outcome, release.step

    def write(tx: Connection) -> None:
        parameters = None if step is None else step.parameters
        result = None if parameters is None else context.home.put(tx, [codec.encode(parameters)])
        state = None if step is None or not step.state else context.home.put(tx, [codec.encode(step.state)])
        held_round(tx, round_.id, lease)
        if release.charge is not None:
            ledgers.require_whole(tx, task.manifest.model)
            ledgers.charge(tx, task.manifest.model, release.charge, context.now())
        store_memory(tx, context, task, release.memory)
        outcomes.save(tx, round_.id, replace(outcome, result_object=result, rule_state_object=state))
        outcomes.set_blamed(tx, round_.id, release.blamed, context.now())
        for key in partial_sums.delete_of_round(tx, round_.id):
            context.home.delete(tx, key)
        for key in encrypted_sums.delete_of_round(tx, round_.id):
            context.home.delete(tx, key)
        secure_rounds.delete_round(tx, round_.id)
        rounds.erase_key(tx, round_.id)

    context.db.run("store_outcome", write)
    log.info("round aggregated", **about(round_), reports=outcome.report_count)
