"""Create a task from a manifest, refusing one that could not run."""

from sqlalchemy import Connection

from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import TaskState, TaskView
from services.aggregator.domain.aggregation import catalogue
from services.aggregator.domain.errors import InvalidManifest
from services.aggregator.domain.runnable import check_runnable
from services.aggregator.domain.tasks import Task
from services.aggregator.pipeline.context import Context
from services.aggregator.registry_client import VersionMissing
from services.aggregator.storage import credentials, notifications, tasks
from services.kit.ids import new_id


def create_task(context: Context, manifest: TaskManifest, operator: str) -> TaskView:
    """Store an active task; a worker gives it its first version and opens round 1.

    Raises:
        InvalidManifest: unknown rule or base version, or tensors that do not fit.
        TaskExists: the name is taken.
        Unavailable: the registry is needed and cannot be reached.
    """
    catalogue.check(manifest.aggregation)
    check_runnable(manifest)
    if manifest.base_version is not None:
        _check_base(context, manifest, manifest.base_version)
    task = Task(new_id("tsk"), TaskState.ACTIVE, f"created by {operator}", manifest, 0, None)

    def step(tx: Connection) -> TaskView:
        tasks.insert_task(tx, task, manifest.digest, context.now())
        credentials.log_action(tx, operator, "create task", task.id, context.now())
        notifications.notify(tx, notifications.WORK)
        return tasks.view(tx, task.id)

    return context.db.run("create_task", step)


def _check_base(context: Context, manifest: TaskManifest, version_id: str) -> None:
    try:
        version = context.registry.version(version_id)
    except VersionMissing as error:
        raise InvalidManifest(f"base_version {version_id!r} is not in the registry") from error
    if version.model != manifest.model:
        raise InvalidManifest(f"base_version {version_id!r} belongs to model {version.model!r}, not {manifest.model!r}")
    given = {(spec.name, spec.dtype, spec.shape) for spec in version.tensors}
    if given != {(spec.name, spec.dtype, spec.shape) for spec in manifest.shared}:
        raise InvalidManifest(f"base_version {version_id!r} does not hold the manifest's shared tensors")
