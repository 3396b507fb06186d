"""Create a task from a manifest, refusing one that could not run."""

import structlog
from sqlalchemy import Connection

from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import RoundKind, TaskState
from fedrec_protocol.operator_messages import TaskView
from fedrec_protocol.registry_messages import Lineage
from services.aggregator.domain import sealing
from services.aggregator.domain.errors import InvalidManifest
from services.aggregator.domain.privacy.ledger import BudgetExceeded
from services.aggregator.domain.privacy.task import NoisyRound, charge_for, new_ledger
from services.aggregator.domain.runnable import check_has_base, check_runnable
from services.aggregator.domain.tasks import Task
from services.aggregator.pipeline.context import Context
from services.aggregator.registry_client import VersionMissing
from services.aggregator.storage import audit, ledgers, noise_vectors, notifications, tasks
from services.kit.ids import new_id

log = structlog.get_logger(__name__)


def create_task(context: Context, manifest: TaskManifest, operator: str) -> TaskView:
    """Store an active task; a worker gives it its first version and opens round 1.

    Raises:
        InvalidManifest: unknown rule or base version, or tensors that do not fit.
        TaskExists: the name is taken.
        Unavailable: the registry is needed and cannot be reached.
    """
    check_runnable(manifest)
    if manifest.base_version is None:
        check_has_base(manifest)
    else:
        _check_base(context, manifest, manifest.base_version)
    task = Task(new_id("tsk"), TaskState.ACTIVE, f"created by {operator}", manifest, 0, None)

    def step(tx: Connection) -> TaskView:
        tasks.insert_task(tx, task, manifest.digest, context.now())
        _open_ledger(tx, context, task)
        audit.record(tx, operator, "create task", task.id, context.now())
        notifications.notify(tx, notifications.WORK)
        return tasks.view(tx, task.id)

    created = context.db.run("create_task", step)
    log.info("task created", task_id=task.id, name=manifest.name, model=manifest.model, operator=operator)
    return created


def _open_ledger(tx: Connection, context: Context, task: Task) -> None:
    """A model's ledger belongs to one task: another could not know who took part in the first."""
    manifest = task.manifest
    if manifest.privacy is None:
        if ledgers.find(tx, manifest.model) is not None:
            raise InvalidManifest(f"model {manifest.model!r} is private: train without privacy under another name")
        return
    ledger = new_ledger(manifest, manifest.privacy)
    first = NoisyRound(
        manifest, manifest.privacy, RoundKind.TRAINING, number=1, trained=0, clipping_norm=manifest.report.maximum_norm
    )
    try:
        ledger.require_room_for(charge_for(first, "first"))
    except BudgetExceeded as error:
        raise InvalidManifest(f"the budget has no room for one round: {error}") from error
    if not ledgers.open_ledger(tx, ledger, task.id):
        raise InvalidManifest(f"another private task trains model {manifest.model!r}: choose another name")
    if manifest.correlated_noise is not None:
        wrapped = sealing.wrap(sealing.new_round_key(), context.deployment_keys[0], manifest.model)
        noise_vectors.set_key(tx, manifest.model, wrapped)


def _check_base(context: Context, manifest: TaskManifest, version_id: str) -> None:
    try:
        version = context.registry.version(version_id)
        context.registry.require_weights(version_id)
    except VersionMissing as error:
        raise InvalidManifest(f"base_version {version_id!r} is not in the registry, or its weights are not") from error
    if version.model != manifest.model:
        raise InvalidManifest(f"base_version {version_id!r} belongs to model {version.model!r}, not {manifest.model!r}")
    given = {(spec.name, spec.dtype, spec.shape) for spec in version.tensors}
    if given != {(spec.name, spec.dtype, spec.shape) for spec in manifest.shared}:
        raise InvalidManifest(f"base_version {version_id!r} does not hold the manifest's shared tensors")
    _check_promise(manifest, version.lineage)


def _check_promise(manifest: TaskManifest, base: Lineage) -> None:
    """Refuse a task whose versions would promise less than their base says, or more than holds."""
    if manifest.privacy is None and base.privacy is not None:
        raise InvalidManifest("base_version carries a privacy statement: a task without privacy would not keep it")
    is_trained = base.members is not None or bool(base.round_number)
    if manifest.privacy is not None and base.privacy is None and is_trained:
        raise InvalidManifest(
            "base_version was trained without privacy: a statement about what comes of it would not hold"
        )
