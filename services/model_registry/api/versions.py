"""Routes of versions."""

import structlog
from fastapi import APIRouter, Response
from sqlalchemy import Connection

from fedrec_protocol.registry_messages import MetricsRequest, VersionRequest, VersionView
from services.kit.problems import documented
from services.model_registry.api.access import CallerDep, RunDep
from services.model_registry.api.context import ContextDep
from services.model_registry.api.parameters import Before, Limit, ModelName, VersionId
from services.model_registry.domain.callers import require_sight
from services.model_registry.domain.errors import UnknownVersion, UnknownWeights, VersionConflict
from services.model_registry.storage import audit, models, versions, weights

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/v1", tags=["versions"])


@router.post(
    "/models/{model}/versions",
    status_code=201,
    operation_id="publishVersion",
    summary="Publish a version",
    responses=documented(400, 401, 403, 404, 408, 409, 413, 422, 429, 503)
    | {200: {"model": VersionView, "description": "Published before"}},
)
def publish(
    model: ModelName, request: VersionRequest, operator: RunDep, context: ContextDep, response: Response
) -> VersionView:
    """Make uploaded weights the next version of a model; versions are numbered from 0 without gaps.

    Publishing the same weights for the same `lineage.round_id` again answers 200 with the first version.
    """

    def step(tx: Connection) -> tuple[VersionView, bool]:
        models.lock(tx, model)
        published = _published(tx, model, request)
        if published is not None:
            return published, False
        if not weights.hold(tx, request.digest):
            raise UnknownWeights(f"upload them first: PUT /v1/weights/{request.digest}")
        for named in filter(None, (request.parent_id, *(request.lineage.members or ()))):
            versions.get(tx, named)
        version = versions.add(tx, model, request)
        audit.record(tx, operator.name, "publish version", version.version_id)
        return version, True

    version, is_new = context.db.run("publish_version", step)
    if is_new:
        log.info("version published", model=model, number=version.number, version_id=version.version_id)
    else:
        response.status_code = 200
    return version


@router.get(
    "/models/{model}/versions",
    operation_id="listVersions",
    summary="List a model's versions",
    responses=documented(401, 404, 422, 429, 503),
)
def list_of_model(
    model: ModelName, caller: CallerDep, context: ContextDep, limit: Limit = 50, before: Before = None
) -> list[VersionView]:
    """Versions, newest first."""
    require_sight(caller, model)

    def read(tx: Connection) -> list[VersionView]:
        models.get(tx, model)
        return versions.page(tx, model, before=2**31 - 1 if before is None else before, limit=limit)

    return context.db.run("list_versions", read)


@router.get(
    "/versions/{version_id}",
    operation_id="getVersion",
    summary="Look at a version",
    responses=documented(401, 404, 422, 429, 503),
)
def get(version_id: VersionId, caller: CallerDep, context: ContextDep) -> VersionView:
    """One version, its lineage and what was measured of it."""
    version = context.db.run("read_version", lambda tx: versions.get(tx, version_id))
    if not caller.may_see(version.model):
        raise UnknownVersion(f"there is no version {version_id!r}")
    return version


@router.put(
    "/versions/{version_id}/metrics",
    operation_id="putMetrics",
    summary="Record metrics",
    responses=documented(400, 401, 403, 404, 408, 413, 422, 429, 503),
)
def put_metrics(version_id: VersionId, request: MetricsRequest, operator: RunDep, context: ContextDep) -> VersionView:
    """Record what participants measured of a version, in place of what was recorded before."""

    def step(tx: Connection) -> VersionView:
        versions.get(tx, version_id)
        versions.put_metrics(tx, version_id, request)
        audit.record(tx, operator.name, "record metrics", version_id)
        return versions.get(tx, version_id)

    return context.db.run("put_metrics", step)


def _published(tx: Connection, model: str, request: VersionRequest) -> VersionView | None:
    """The version that this request published before."""
    round_id = request.lineage.round_id
    published = None if round_id is None else versions.of_round(tx, model, round_id)
    if published is not None and published.digest != request.digest:
        raise VersionConflict(
            f"version {published.number} of round {round_id!r} has digest {published.digest}, not {request.digest}"
        )
    return published
