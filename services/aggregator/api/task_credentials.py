"""Routes by which operators manage the enrolment keys and the clients of a task."""

from datetime import timedelta

from fastapi import APIRouter, Request
from sqlalchemy import Connection

from fedrec_protocol.operator_messages import (
    EnrolmentKeyCreated,
    EnrolmentKeyRequest,
    EnrolmentKeyView,
)
from fedrec_protocol.vouchers import Vouchers
from services.aggregator.api.access import AdminDep, ContextDep, RunDep, access_of
from services.aggregator.api.parameters import ClientId, KeyId, TaskId
from services.aggregator.domain.vouchers import require_usable
from services.aggregator.pipeline.forget_clients import erase_client
from services.aggregator.storage import audit, credentials, tasks
from services.kit import keys
from services.kit.ids import new_id
from services.kit.problems import documented

router = APIRouter(prefix="/v1", tags=["credentials"])

_READ = documented(401, 403, 404, 422, 429, 503)
_WRITE = documented(400, 401, 403, 404, 408, 413, 422, 429, 503)


@router.post(
    "/tasks/{task_id}/enrolment-keys",
    status_code=201,
    operation_id="createEnrolmentKey",
    summary="Make an enrolment key",
    responses=_WRITE,
)
def create_enrolment_key(
    request: Request, task_id: TaskId, operator: RunDep, context: ContextDep, body: EnrolmentKeyRequest | None = None
) -> EnrolmentKeyCreated:
    """A key by which an app's devices enrol in this task. Its secret is shown this once."""
    key = keys.make_key("fe", access_of(request).pepper)
    now = context.now()
    life = body.expires_in_seconds if body else None
    expires = None if life is None else now + timedelta(seconds=life)
    vouchers = body.vouchers if body else None
    if vouchers is not None:
        require_usable(vouchers)
    view = EnrolmentKeyCreated(
        key_id=new_id("ekey"),
        task_id=task_id,
        created_at=now,
        expires_at=expires,
        revoked_at=None,
        vouchers=vouchers,
        secret=key.secret,
    )

    def step(tx: Connection) -> None:
        tasks.get(tx, task_id)
        credentials.insert_enrolment_key(tx, view, key.lookup, key.key_hash)
        audit.record(tx, operator.name, "create enrolment key", view.key_id, now)

    context.db.run("create_enrolment_key", step)
    return view


@router.get(
    "/tasks/{task_id}/enrolment-keys",
    operation_id="listEnrolmentKeys",
    summary="List a task's enrolment keys",
    responses=_READ,
)
def list_enrolment_keys(task_id: TaskId, operator: RunDep, context: ContextDep) -> list[EnrolmentKeyView]:
    """Without their secrets, which are not stored."""

    def read(tx: Connection) -> list[EnrolmentKeyView]:
        tasks.get(tx, task_id)
        return credentials.enrolment_key_views(tx, task_id)

    return context.db.run("list_enrolment_keys", read)


@router.put(
    "/tasks/{task_id}/enrolment-keys/{key_id}/vouchers",
    operation_id="replaceVouchers",
    summary="Replace the vouchers that an enrolment key demands",
    responses=_WRITE,
)
def replace_vouchers(
    task_id: TaskId, key_id: KeyId, operator: RunDep, context: ContextDep, body: Vouchers
) -> EnrolmentKeyView:
    """Demand these from now on, of a key that demanded none too: e.g. because the issuer signs with new keys."""
    require_usable(body)

    def step(tx: Connection) -> EnrolmentKeyView:
        view = credentials.replace_vouchers(tx, task_id, key_id, body)
        audit.record(tx, operator.name, "replace vouchers", key_id, context.now())
        return view

    return context.db.run("replace_vouchers", step)


@router.delete(
    "/tasks/{task_id}/enrolment-keys/{key_id}",
    status_code=204,
    operation_id="revokeEnrolmentKey",
    summary="Revoke an enrolment key",
    responses=_READ,
)
def revoke_enrolment_key(task_id: TaskId, key_id: KeyId, operator: RunDep, context: ContextDep) -> None:
    """No device enrols with it any more; those that did stay enrolled."""

    def step(tx: Connection) -> None:
        credentials.revoke_enrolment_key(tx, task_id, key_id, context.now())
        audit.record(tx, operator.name, "revoke enrolment key", key_id, context.now())

    context.db.run("revoke_enrolment_key", step)


@router.delete(
    "/tasks/{task_id}/clients/{client_id}",
    status_code=204,
    operation_id="revokeClient",
    summary="Revoke a client",
    responses=_READ,
)
def revoke_client(task_id: TaskId, client_id: ClientId, operator: RunDep, context: ContextDep) -> None:
    """The device gets no more work and no more tokens."""

    def step(tx: Connection) -> None:
        credentials.revoke_client(tx, task_id, client_id, context.now())
        audit.record(tx, operator.name, "revoke client", client_id, context.now())

    context.db.run("revoke_client", step)


@router.delete(
    "/clients/{client_id}",
    status_code=204,
    operation_id="eraseClient",
    summary="Erase a client",
    responses=_READ,
)
def erase(client_id: ClientId, operator: AdminDep, context: ContextDep) -> None:
    """The device gets no more work and no more tokens, and what is kept of it is deleted but for the hash of its key.

    Where somebody vouched for its person, a hash of who that is stays too.

    If it has an assignment in a round under way, that is done within minutes of the round's end.
    """
    erase_client(context, client_id, operator.name)
