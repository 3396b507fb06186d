"""Routes of aliases: promotion, the way back, and the log of both."""

import structlog
from fastapi import APIRouter
from sqlalchemy import Connection

from fedrec_protocol.registry_messages import AliasMove, AliasView, PromotionRequest, RollbackRequest
from services.kit.problems import documented
from services.model_registry.api.access import CallerDep, ReadDep, RunDep
from services.model_registry.api.context import ContextDep
from services.model_registry.api.parameters import AliasName, Before, Limit, ModelName
from services.model_registry.domain.callers import Operator, require_sight
from services.model_registry.domain.errors import UnknownVersion, WeightsDeleted
from services.model_registry.domain.promotion import AliasAction, require_gate, version_before
from services.model_registry.storage import aliases, models, versions, weights

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/v1/models/{model}/aliases/{alias}", tags=["aliases"])

_MOVE = documented(400, 401, 403, 404, 408, 409, 410, 413, 422, 429, 503)


@router.get("", operation_id="getAlias", summary="Resolve an alias", responses=documented(401, 404, 422, 429, 503))
def get(model: ModelName, alias: AliasName, caller: CallerDep, context: ContextDep) -> AliasView:
    """The version that an alias names now; participants see their own model's only."""
    require_sight(caller, model)

    def read(tx: Connection) -> AliasView:
        models.get(tx, model)
        return aliases.get(tx, model, alias)

    return context.db.run("read_alias", read)


@router.put("", operation_id="promote", summary="Promote a version", responses=_MOVE)
def promote(
    model: ModelName, alias: AliasName, request: PromotionRequest, operator: RunDep, context: ContextDep
) -> AliasView:
    """Move an alias to a version, if that passes the gate; moving it to where it is changes nothing."""

    def step(tx: Connection) -> tuple[AliasView, bool]:
        models.lock(tx, model)
        candidate = versions.get(tx, request.version_id)
        if candidate.model != model:
            raise UnknownVersion(f"model {model!r} has no version {request.version_id!r}")
        current = aliases.find(tx, model, alias)
        if current is not None and current.version.version_id == candidate.version_id:
            return current, False
        if request.gate is not None:
            require_gate(request.gate, candidate.metrics, None if current is None else current.version.metrics)
        if not weights.hold(tx, candidate.digest):
            raise WeightsDeleted("upload them again, or promote another version")
        action, by = AliasAction.PROMOTE, operator.name
        moved = aliases.move(tx, model, alias, candidate.version_id, action=action, operator=by, reason=request.reason)
        return moved, True

    named, is_moved = context.db.run("promote", step)
    if is_moved:
        _log_move(named, operator)
    return named


@router.post("/rollback", operation_id="rollBack", summary="Go back to the version before", responses=_MOVE)
def roll_back(
    model: ModelName, alias: AliasName, request: RollbackRequest, operator: RunDep, context: ContextDep
) -> AliasView:
    """Undo the last promotion that was not yet undone."""

    def step(tx: Connection) -> AliasView:
        models.lock(tx, model)
        aliases.get(tx, model, alias)
        return aliases.move(
            tx,
            model,
            alias,
            version_before(aliases.whole_log(tx, model, alias)),
            action=AliasAction.ROLL_BACK,
            operator=operator.name,
            reason=request.reason,
        )

    moved = context.db.run("roll_back", step)
    _log_move(moved, operator)
    return moved


def _log_move(moved: AliasView, operator: Operator) -> None:
    version = moved.version
    log.info(
        "alias moved",
        model=moved.model,
        alias=moved.alias,
        number=version.number,
        version_id=version.version_id,
        operator=operator.name,
    )


@router.get(
    "/history",
    operation_id="getAliasHistory",
    summary="Read the log",
    responses=documented(401, 403, 404, 422, 429, 503),
)
def history(
    model: ModelName,
    alias: AliasName,
    operator: ReadDep,
    context: ContextDep,
    limit: Limit = 100,
    before: Before = None,
) -> list[AliasMove]:
    """Every move of an alias, newest first: who, when and why."""

    def read(tx: Connection) -> list[AliasMove]:
        models.get(tx, model)
        aliases.get(tx, model, alias)
        return aliases.history(tx, model, alias, before=2**31 - 1 if before is None else before, limit=limit)

    return context.db.run("read_alias_history", read)
