"""Routes of models."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import Connection

from fedrec_protocol.manifest import Name
from fedrec_protocol.registry_messages import ModelRequest, ModelView
from services.kit.problems import documented
from services.model_registry.api.access import CallerDep, ReadDep, RunDep
from services.model_registry.api.context import ContextDep
from services.model_registry.api.parameters import Limit, ModelName
from services.model_registry.domain.callers import require_sight
from services.model_registry.storage import audit, models

router = APIRouter(prefix="/v1", tags=["models"])


@router.post(
    "/models",
    status_code=201,
    operation_id="createModel",
    summary="Make a model",
    responses=documented(400, 401, 403, 408, 409, 413, 422, 429, 503),
)
def create(request: ModelRequest, operator: RunDep, context: ContextDep) -> ModelView:
    """A name under which versions are published, and which aliases belong to."""

    def step(tx: Connection) -> ModelView:
        audit.record(tx, operator.name, "create model", request.name)
        return models.add(tx, request)

    return context.db.run("create_model", step)


@router.get("/models", operation_id="listModels", summary="List models", responses=documented(401, 403, 422, 429, 503))
def list_all(
    operator: ReadDep,
    context: ContextDep,
    limit: Limit = 100,
    after: Annotated[Name | None, Query(description="Only models with later names")] = None,
) -> list[ModelView]:
    """Models, by name."""
    return context.db.run("list_models", lambda tx: models.page(tx, after=after or "", limit=limit))


@router.get(
    "/models/{model}", operation_id="getModel", summary="Look at a model", responses=documented(401, 404, 422, 429, 503)
)
def get(model: ModelName, caller: CallerDep, context: ContextDep) -> ModelView:
    """One model; participants see their own only."""
    require_sight(caller, model)
    return context.db.run("read_model", lambda tx: models.get(tx, model))
