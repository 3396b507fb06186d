"""Hand the outcome of a round to the registry, and go on with the next round."""

import hashlib
from typing import Any

import structlog
from sqlalchemy import Connection

from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import ModelReference, RoundKind, RoundState
from fedrec_protocol.registry_messages import Lineage, VersionRequest
from services.aggregator.domain.privacy.composition import composed
from services.aggregator.domain.privacy.statement import privacy_statement
from services.aggregator.domain.privacy.task import mechanism_of
from services.aggregator.domain.rounds import Round
from services.aggregator.domain.tasks import Task
from services.aggregator.pipeline.about import about
from services.aggregator.pipeline.context import Context
from services.aggregator.pipeline.held_round import held_round
from services.aggregator.pipeline.open_round import advance
from services.aggregator.storage import leases, ledgers, outcomes, rounds, tasks
from services.aggregator.storage.leases import Lease
from services.aggregator.storage.outcomes import Outcome

log = structlog.get_logger(__name__)


def publish(context: Context, round_id: str, lease: Lease) -> None:
    """Publish what an aggregated round came to, then open the next round in the same transaction.

    The registry is told first. A crash before the transaction publishes again, which is idempotent on the
    round's id; so is recording the metrics.

    Raises:
        Unavailable: the registry cannot be reached; try again later.
        FencedOff: another worker has taken over.
    """
    task, round_, outcome, weights = context.db.run("read_outcome", lambda tx: _read(tx, context, round_id))
    if round_.state is not RoundState.AGGREGATING or outcome is None:
        return
    version = None if weights is None else _publish(context, task, round_, outcome, weights)
    if outcome.evaluated:
        context.registry.put_metrics(round_.base.version_id, outcome.metrics, outcome.evaluated)
    context.db.run("publish", lambda tx: _record(tx, context, round_id, lease, version))
    log.info("round published", **about(round_), version_id=version and version.version_id)


def _read(tx: Connection, context: Context, round_id: str) -> tuple[Task, Round, Outcome | None, bytes | None]:
    round_ = rounds.get(tx, round_id)
    task, outcome = tasks.get(tx, round_.task_id), outcomes.get(tx, round_id)
    if outcome is None or outcome.result_object is None:
        return task, round_, outcome, None
    return task, round_, outcome, b"".join(context.home.read(tx, outcome.result_object))


def _publish(context: Context, task: Task, round_: Round, outcome: Outcome, weights: bytes) -> ModelReference:
    manifest = task.manifest
    is_private = manifest.privacy is not None
    lineage = Lineage(
        task_id=task.id,
        round_id=round_.id,
        round_number=round_.number,
        recipe=manifest.recipe.name,
        recipe_config=manifest.recipe.config,
        aggregation_rule=manifest.aggregation.rule,
        report_count=None if is_private else outcome.report_count,  # who took part is protected too
        weight=None if is_private else outcome.weight,
        privacy=_statement(context, manifest),
    )
    digest = hashlib.sha256(weights).hexdigest()
    request = VersionRequest(digest=digest, parent_id=round_.base.version_id, lineage=lineage)
    return context.registry.publish(manifest.model, weights, request)


def _statement(context: Context, manifest: TaskManifest) -> dict[str, Any] | None:
    if manifest.privacy is None:
        return None
    ledger = context.db.run("read_ledger", lambda tx: ledgers.find(tx, manifest.model))
    if ledger is None:
        raise RuntimeError(f"model {manifest.model!r} has no ledger")  # made with the task, never deleted
    statement = privacy_statement(ledger, mechanism_of(manifest))
    own = {**statement.model_dump(mode="json"), "in_words": statement.plain_words()}
    if manifest.base_version is None:
        return own
    # The ledger knows this task's rounds only: what the base's training has spent is written with the base.
    of_base = context.registry.version(manifest.base_version).lineage.privacy
    return own if of_base is None else composed([of_base, own])


def _record(tx: Connection, context: Context, round_id: str, lease: Lease, version: ModelReference | None) -> None:
    round_ = held_round(tx, round_id, lease)
    task = tasks.get(tx, round_.task_id, lock=True)
    outcome = outcomes.get(tx, round_id)
    rounds.save(tx, round_.published())
    outcomes.set_published(tx, round_id, version)
    if round_.kind is RoundKind.TRAINING and outcome is not None:
        task = task.advanced(version or round_.base)  # what only measures leaves the version as it is
        tasks.save(tx, task)
        superseded = [outcome.result_object, tasks.rule_state_object(tx, task.id)]
        tasks.set_rule_state_object(tx, task.id, outcome.rule_state_object)
        for key in superseded:
            if key is not None:
                context.home.delete(tx, key)
    leases.retire(tx, round_id)
    advance(tx, context, task)
