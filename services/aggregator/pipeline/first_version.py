"""Give a new task its first model version."""

import hashlib

import structlog
from sqlalchemy import Connection

from fedrec_protocol import codec
from fedrec_protocol.initialise import initial_parameters
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import ModelReference, TaskState
from fedrec_protocol.registry_messages import Lineage, VersionRequest
from services.aggregator.domain.errors import RegistryRefused
from services.aggregator.pipeline.context import Context
from services.aggregator.pipeline.open_round import advance
from services.aggregator.storage import tasks

log = structlog.get_logger(__name__)


def first_version(context: Context, task_id: str) -> None:
    """Publish the initial parameters, or take the version that the manifest names; then open round 1.

    Running it twice publishes once: the registry knows the task's initial version by its lineage. Where it
    refuses, the task fails until an operator resumes it.
    """
    task = context.db.run("read_task", lambda tx: tasks.get(tx, task_id))
    if task.current_version is not None:
        return
    try:
        version = _version(context, task_id, task.manifest)
    except RegistryRefused as refusal:
        reason = f"no first version: {refusal}"
        context.db.run("stop_task", lambda tx: _stop(tx, task_id, reason))
        log.error("task failed", task_id=task_id, reason=reason)
        return

    def step(tx: Connection) -> None:
        locked = tasks.get(tx, task_id, lock=True)
        if locked.current_version is not None or locked.state is not TaskState.ACTIVE:
            return
        ready = locked.with_first_version(version)
        tasks.save(tx, ready)
        advance(tx, context, ready)

    context.db.run("first_version", step)
    log.info("task has its first version", task_id=task_id, version_id=version.version_id)


def _stop(tx: Connection, task_id: str, reason: str) -> None:
    task = tasks.get(tx, task_id, lock=True)
    if task.state is TaskState.ACTIVE:
        tasks.save(tx, task.failed(reason))


def _version(context: Context, task_id: str, manifest: TaskManifest) -> ModelReference:
    registry = context.registry
    if manifest.base_version is not None:
        return registry.reference(registry.version(manifest.base_version))
    weights = codec.encode(initial_parameters(manifest.shared, manifest.seed))
    lineage = Lineage(
        task_id=task_id,
        round_id=f"{task_id}.initial",
        round_number=0,
        recipe=manifest.recipe.name,
        recipe_config=manifest.recipe.config,
    )
    registry.ensure_model(manifest.model)
    request = VersionRequest(digest=hashlib.sha256(weights).hexdigest(), lineage=lineage)
    return registry.publish(manifest.model, weights, request)
