"""Routes of catalogues: items come and go while a model is trained."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlalchemy import Connection

from fedrec_protocol.item_catalogue import CatalogueChange, CatalogueRequest, CatalogueView, ItemCatalogue
from services.kit.problems import documented
from services.model_registry.api.access import CallerDep, RunDep
from services.model_registry.api.context import ContextDep
from services.model_registry.api.parameters import ModelName
from services.model_registry.domain.callers import require_sight
from services.model_registry.domain.errors import CatalogueConflict
from services.model_registry.domain.item_catalogues import changes_of
from services.model_registry.storage import audit, item_catalogues, models

router = APIRouter(prefix="/v1/models/{model}/catalogue", tags=["catalogues"])

_CHANGE = documented(400, 401, 403, 404, 408, 409, 413, 422, 429, 503)
Since = Annotated[int, Query(ge=0, le=2**31 - 1, description="Only what changed after this version of the catalogue")]


@router.put(
    "",
    status_code=201,
    operation_id="makeCatalogue",
    summary="Give a model a catalogue",
    responses=_CHANGE | {200: {"model": CatalogueView, "description": "It has one of this capacity"}},
)
def make(
    model: ModelName, request: CatalogueRequest, operator: RunDep, context: ContextDep, response: Response
) -> CatalogueView:
    """An empty catalogue, and the model where there is none; the capacity of one that is there does not change."""

    def step(tx: Connection) -> tuple[CatalogueView, bool]:
        # A task's model is made with its first version, a moment after the task: a catalogue need not wait for it.
        models.ensure(tx, model)
        models.lock(tx, model)
        capacity = item_catalogues.capacity_of(tx, model)
        if capacity is None:
            item_catalogues.add(tx, model, request.capacity)
            audit.record(tx, operator.name, "make catalogue", model)
        elif capacity != request.capacity:
            raise CatalogueConflict(f"the catalogue of model {model!r} has {capacity} rows")
        return item_catalogues.view(tx, model), capacity is None

    made, is_new = context.db.run("make_catalogue", step)
    if not is_new:
        response.status_code = 200
    return made


@router.post("/changes", operation_id="changeCatalogue", summary="Add and retire items", responses=_CHANGE)
def change(model: ModelName, request: CatalogueChange, operator: RunDep, context: ContextDep) -> CatalogueView:
    """The next version of the catalogue, as its changes; the same request again changes nothing."""

    def step(tx: Connection) -> CatalogueView:
        models.lock(tx, model)
        before = item_catalogues.view(tx, model)
        current = ItemCatalogue().with_changes(before.changes)
        changes = changes_of(current, before.capacity, request)
        if changes:
            item_catalogues.append(tx, model, changes, current.with_changes(changes).digest)
            audit.record(tx, operator.name, "change catalogue", model)
        return item_catalogues.view(tx, model, since=before.number)

    return context.db.run("change_catalogue", step)


@router.get(
    "",
    operation_id="getCatalogue",
    summary="Read a catalogue, or what changed in it",
    responses=documented(401, 404, 422, 429, 503),
)
def get(model: ModelName, caller: CallerDep, context: ContextDep, since: Since = 0) -> CatalogueView:
    """The newest version; participants see their own model's only."""
    require_sight(caller, model)

    def read(tx: Connection) -> CatalogueView:
        models.get(tx, model)
        return item_catalogues.view(tx, model, since=since)

    return context.db.run("read_catalogue", read)
