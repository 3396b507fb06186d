"""Tasks in Postgres."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import ModelReference, TaskState
from fedrec_protocol.operator_messages import TaskView
from services.aggregator.domain.errors import TaskExists, UnknownTask
from services.aggregator.domain.tasks import Task
from services.aggregator.storage.tables import tasks


def insert_task(tx: Connection, task: Task, digest: str, now: datetime) -> None:
    """Store a new task.

    Raises:
        TaskExists: the name is taken.
    """
    try:
        tx.execute(
            insert(tasks).values(
                id=task.id,
                name=task.manifest.name,
                manifest=task.manifest.model_dump(mode="json"),
                manifest_digest=digest,
                state=task.state,
                state_reason=task.state_reason,
                created_at=now,
                rounds_published=task.rounds_published,
                current_version=None,
            )
        )
    except IntegrityError as error:
        raise TaskExists(f"a task named {task.manifest.name!r} exists") from error


def get(tx: Connection, task_id: str, *, lock: bool = False) -> Task:
    """One task; with `lock`, nobody else changes it until the transaction ends.

    Raises:
        UnknownTask: there is none.
    """
    query = select(tasks).where(tasks.c.id == task_id)
    row = tx.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    if row is None:
        raise UnknownTask(f"there is no task {task_id!r}")
    return _task(row)


def save(tx: Connection, task: Task) -> None:
    """Store what the domain returned."""
    tx.execute(
        update(tasks)
        .where(tasks.c.id == task.id)
        .values(
            state=task.state,
            state_reason=task.state_reason,
            rounds_published=task.rounds_published,
            current_version=None if task.current_version is None else task.current_version.model_dump(mode="json"),
        )
    )


def delete_task(tx: Connection, task_id: str) -> None:
    """Delete a task that nothing refers to any more."""
    tx.execute(delete(tasks).where(tasks.c.id == task_id))


def rule_state_object(tx: Connection, task_id: str) -> str | None:
    """Key of what the aggregation rule remembers; None before the first round."""
    key: str | None = tx.execute(select(tasks.c.rule_state_object).where(tasks.c.id == task_id)).scalar_one()
    return key


def set_rule_state_object(tx: Connection, task_id: str, key: str | None) -> None:
    """Point to what the aggregation rule remembers."""
    tx.execute(update(tasks).where(tasks.c.id == task_id).values(rule_state_object=key))


def retry_at(tx: Connection, task_id: str, when: datetime) -> None:
    """Open no round of this task before this time."""
    tx.execute(update(tasks).where(tasks.c.id == task_id).values(retry_at=when))


def opens_at(tx: Connection, task_id: str) -> datetime | None:
    """The time before which no round of this task opens; None where it may open now."""
    found: datetime | None = tx.execute(select(tasks.c.retry_at).where(tasks.c.id == task_id)).scalar()
    return found


def without_version(tx: Connection) -> list[str]:
    """Ids of the active tasks whose first version is not in the registry yet."""
    query = select(tasks.c.id).where(tasks.c.state == TaskState.ACTIVE, tasks.c.current_version.is_(None))
    return list(tx.execute(query).scalars())


def bases(tx: Connection) -> list[tuple[str, str]]:
    """Ids of the tasks that began from a version in the registry and are not over, with the one they train from now."""
    begun_from = tasks.c.manifest["base_version"].astext
    base = func.coalesce(tasks.c.current_version["version_id"].astext, begun_from)
    query = select(tasks.c.id, base).where(tasks.c.state != TaskState.COMPLETED, begun_from.is_not(None))
    return [(row[0], row[1]) for row in tx.execute(query)]


def view(tx: Connection, task_id: str) -> TaskView:
    """One task as operators see it.

    Raises:
        UnknownTask: there is none.
    """
    row = tx.execute(select(tasks).where(tasks.c.id == task_id)).mappings().one_or_none()
    if row is None:
        raise UnknownTask(f"there is no task {task_id!r}")
    return _view(row)


def views(tx: Connection) -> list[TaskView]:
    """All tasks, newest first."""
    return [_view(row) for row in tx.execute(select(tasks).order_by(tasks.c.created_at.desc())).mappings()]


_manifests: dict[str, TaskManifest] = {}
_REMEMBERED = 256


def _manifest(digest: str, content: dict[str, Any]) -> TaskManifest:
    """A manifest by its digest: with hundreds of tensors, checking one takes longer than the transaction."""
    manifest = _manifests.get(digest)
    if manifest is None:
        if len(_manifests) >= _REMEMBERED:
            _manifests.clear()
        manifest = _manifests[digest] = TaskManifest.model_validate(content)
    return manifest


def _task(row: RowMapping) -> Task:
    version = row["current_version"]
    return Task(
        id=row["id"],
        state=TaskState(row["state"]),
        state_reason=row["state_reason"],
        manifest=_manifest(row["manifest_digest"], row["manifest"]),
        rounds_published=row["rounds_published"],
        current_version=None if version is None else ModelReference.model_validate(version),
    )


def _view(row: RowMapping) -> TaskView:
    task = _task(row)
    return TaskView(
        task_id=task.id,
        state=task.state,
        state_reason=task.state_reason,
        created_at=row["created_at"],
        rounds_published=task.rounds_published,
        current_version_id=None if task.current_version is None else task.current_version.version_id,
        manifest=task.manifest,
        manifest_digest=row["manifest_digest"],
    )
