"""Routes by which administrators manage operator keys."""

from fastapi import APIRouter
from sqlalchemy import Connection

from fedrec_protocol.operator_messages import OperatorKeyCreated, OperatorKeyRequest, OperatorKeyView
from services.kit.problems import documented
from services.model_registry.api.access import AdminDep
from services.model_registry.api.context import ContextDep
from services.model_registry.api.parameters import KeyId
from services.model_registry.storage import audit, operator_keys

router = APIRouter(prefix="/v1/operator-keys", tags=["credentials"])


@router.post(
    "",
    status_code=201,
    operation_id="createOperatorKey",
    summary="Make an operator key",
    responses=documented(400, 401, 403, 408, 413, 422, 429, 503),
)
def create(request: OperatorKeyRequest, operator: AdminDep, context: ContextDep) -> OperatorKeyCreated:
    """A key for a person or a program. Its secret is shown this once."""
    pepper, now = context.settings.key_pepper, context.clock.now()

    def step(tx: Connection) -> OperatorKeyCreated:
        made = operator_keys.make(tx, request, pepper=pepper, now=now)
        audit.record(tx, operator.name, "create operator key", made.key_id)
        return made

    return context.db.run("create_operator_key", step)


@router.get("", operation_id="listOperatorKeys", summary="List operator keys", responses=documented(401, 403, 429, 503))
def list_all(operator: AdminDep, context: ContextDep) -> list[OperatorKeyView]:
    """Keys, newest first, without their secrets, which are not stored."""
    return context.db.run("list_operator_keys", operator_keys.views)


@router.delete(
    "/{key_id}",
    status_code=204,
    operation_id="revokeOperatorKey",
    summary="Revoke an operator key",
    responses=documented(401, 403, 404, 422, 429, 503),
)
def revoke(key_id: KeyId, operator: AdminDep, context: ContextDep) -> None:
    """It is refused from now on."""

    def step(tx: Connection) -> None:
        operator_keys.revoke(tx, key_id, context.clock.now())
        audit.record(tx, operator.name, "revoke operator key", key_id)

    context.db.run("revoke_operator_key", step)
