"""Routes by which operators create, watch and steer tasks."""

from typing import Annotated

from fastapi import APIRouter, Body, Query

from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.operator_messages import PrivacyView, RoundView, TaskView, UnrecordedReleases
from services.aggregator.api.access import AdminDep, ContextDep, ReadDep, RunDep
from services.aggregator.api.descriptions import MATRIX_FACTORISATION
from services.aggregator.api.parameters import RoundId, TaskId
from services.aggregator.pipeline.create_task import create_task
from services.aggregator.pipeline.delete_task import delete_task
from services.aggregator.pipeline.read_privacy import read_privacy
from services.aggregator.pipeline.restored import charge_unrecorded
from services.aggregator.pipeline.steer_task import cancel_task, pause_task, resume_task
from services.aggregator.storage import round_views, tasks
from services.kit.problems import documented

router = APIRouter(prefix="/v1", tags=["tasks"])

ManifestBody = Annotated[
    TaskManifest,
    Body(
        openapi_examples={"mf": {"summary": "Matrix factorisation of a thousand items", "value": MATRIX_FACTORISATION}}
    ),
]
_READ = documented(401, 403, 404, 422, 429, 503)
_STEER = documented(401, 403, 404, 409, 422, 429, 503)


@router.post(
    "/tasks",
    status_code=201,
    operation_id="createTask",
    summary="Create a task",
    responses=documented(400, 401, 403, 408, 409, 413, 422, 429, 503),
)
def create(manifest: ManifestBody, operator: RunDep, context: ContextDep) -> TaskView:
    """Start training by this manifest: the first round opens as soon as the first version is in the registry."""
    return create_task(context, manifest, operator.name)


@router.get("/tasks", operation_id="listTasks", summary="List tasks", responses=documented(401, 403, 429, 503))
def list_all(operator: ReadDep, context: ContextDep) -> list[TaskView]:
    """All tasks, newest first."""
    return context.db.run("list_tasks", tasks.views)


@router.get("/tasks/{task_id}", operation_id="getTask", summary="Look at a task", responses=_READ)
def get(task_id: TaskId, operator: ReadDep, context: ContextDep) -> TaskView:
    """One task."""
    return context.db.run("read_task", lambda tx: tasks.view(tx, task_id))


@router.get(
    "/tasks/{task_id}/privacy", operation_id="getPrivacy", summary="Look at a task's privacy ledger", responses=_READ
)
def privacy(task_id: TaskId, operator: ReadDep, context: ContextDep) -> PrivacyView:
    """What was spent of the privacy budget; 404 for a task that promises none."""
    return read_privacy(context, task_id)


@router.post("/tasks/{task_id}/pause", operation_id="pauseTask", summary="Pause a task", responses=_STEER)
def pause(task_id: TaskId, operator: RunDep, context: ContextDep) -> TaskView:
    """Open no new round; the open one may finish."""
    return pause_task(context, task_id, operator.name)


@router.post("/tasks/{task_id}/resume", operation_id="resumeTask", summary="Resume a task", responses=_STEER)
def resume(task_id: TaskId, operator: RunDep, context: ContextDep) -> TaskView:
    """Open rounds again."""
    return resume_task(context, task_id, operator.name)


@router.post("/tasks/{task_id}/cancel", operation_id="cancelTask", summary="Cancel a task", responses=_STEER)
def cancel(task_id: TaskId, operator: RunDep, context: ContextDep) -> TaskView:
    """End the task; an open round is abandoned. Published versions stay."""
    return cancel_task(context, task_id, operator.name)


@router.delete(
    "/tasks/{task_id}",
    status_code=204,
    operation_id="deleteTask",
    summary="Delete a task",
    responses=documented(401, 403, 404, 409, 422, 429, 503),
)
def delete(task_id: TaskId, operator: AdminDep, context: ContextDep) -> None:
    """Delete a completed task with its rounds, clients and enrolment keys. Published versions stay.

    Of a private task the manifest and the ledger stay too: what was released counts for ever.
    """
    delete_task(context, task_id, operator.name)


@router.post(
    "/tasks/{task_id}/unrecorded-releases",
    operation_id="stateUnrecordedReleases",
    summary="Complete a restored privacy ledger",
    responses=documented(400, 401, 403, 404, 408, 409, 413, 422, 429, 503),
)
def state_unrecorded_releases(
    task_id: TaskId, body: UnrecordedReleases, operator: AdminDep, context: ContextDep
) -> TaskView:
    """Charge what was released after the backup that the database was restored from, so that the task may be resumed.

    A task that bounds participations, or whose noise is correlated, is cancelled if it misses any.
    """
    return charge_unrecorded(context, task_id, body.releases, operator.name)


@router.get("/tasks/{task_id}/rounds", operation_id="listRounds", summary="List a task's rounds", responses=_READ)
def list_rounds(
    task_id: TaskId,
    operator: ReadDep,
    context: ContextDep,
    limit: Annotated[int, Query(ge=1, le=500, description="Rounds at most")] = 100,
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Only rounds with smaller numbers")] = None,
) -> list[RoundView]:
    """Rounds, newest first."""
    return context.db.run(
        "list_rounds", lambda tx: round_views.views(tx, task_id, context.now(), limit=limit, before=before)
    )


@router.get(
    "/tasks/{task_id}/rounds/current", operation_id="getCurrentRound", summary="Look at the open round", responses=_READ
)
def current_round(task_id: TaskId, operator: ReadDep, context: ContextDep) -> RoundView:
    """The round under way, or else the newest; `waiting_for` says in words what must happen next.

    Of a round that is over it says what became of it, and what comes after it.
    """
    return context.db.run("current_round", lambda tx: round_views.current(tx, task_id, context.now()))


@router.get("/rounds/{round_id}", operation_id="getRound", summary="Look at a round", responses=_READ)
def get_round(round_id: RoundId, operator: ReadDep, context: ContextDep) -> RoundView:
    """One round."""
    return context.db.run("read_round_view", lambda tx: round_views.view(tx, round_id, context.now()))
