"""Routes by which devices enrol, get tokens, replace their key and read their task."""

from fastapi import APIRouter, Request
from sqlalchemy import Connection

from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import (
    AccessToken,
    Enrolment,
    EnrolmentRequest,
    KeyChange,
    ParticipantTask,
    TokenRequest,
)
from services.aggregator.api.access import AppDep, ContextDep, ParticipantDep, access_of, take
from services.aggregator.domain.device_keys import require_current
from services.aggregator.domain.errors import Unauthenticated
from services.aggregator.domain.tasks import Task
from services.aggregator.pipeline.enrol import enrol
from services.aggregator.pipeline.replace_key import claimed, replace_key
from services.aggregator.storage import credentials, tasks
from services.aggregator.storage.credentials import Client
from services.kit import access_tokens, device_assertions
from services.kit.problems import documented

router = APIRouter(prefix="/v1", tags=["participants"])


@router.post(
    "/enrolments",
    status_code=201,
    operation_id="enrol",
    summary="Enrol a device",
    responses=documented(400, 401, 408, 409, 413, 422, 429, 503),
)
def enrol_device(request: Request, body: EnrolmentRequest, key: AppDep, context: ContextDep) -> Enrolment:
    """Take a device into the task of the enrolment key. The same public key again is the same client.

    Where the key demands vouchers, the same person is the same client, and goes by the key that was enrolled last.
    Requests with the token of a client that was there before have to be signed: a public key proves nothing.
    """
    public_key = access_tokens.from_base64url(body.public_key)
    person = access_of(request).person(key, body.voucher, public_key)
    enrolled = enrol(context, key.task_id, public_key, person)
    # Others of a secure round are told the device's public key, and the enrolment key can be taken out of the app.
    token = _token(request, enrolled.client, enrolled.manifest, is_proven=enrolled.is_new)
    return Enrolment(client_id=enrolled.client.id, task_id=enrolled.client.task_id, token=token)


@router.post(
    "/tokens",
    status_code=201,
    operation_id="getToken",
    summary="Get an access token",
    responses=documented(400, 401, 408, 413, 422, 429, 503),
)
def get_token(request: Request, body: TokenRequest, context: ContextDep) -> AccessToken:
    """Exchange an assertion that the device key has signed for an access token."""

    def step(tx: Connection) -> tuple[Client, TaskManifest]:
        client = claimed(tx, body.assertion)
        return client, tasks.get(tx, client.task_id).manifest

    client, manifest = context.db.run("find_client", step)
    try:
        device_assertions.verify_assertion(body.assertion, client.id, client.public_key, context.now())
    except access_tokens.TokenInvalid as error:
        raise Unauthenticated(str(error)) from error
    take(access_of(request).participants, client.id)
    today = context.now().date()
    if client.seen_on < today:  # written once a day, by the one request that all who take part send now and then
        context.db.run("mark_seen", lambda tx: credentials.mark_seen(tx, client, today))
    return _token(request, client, manifest)


@router.put(
    "/device-key",
    operation_id="replaceDeviceKey",
    summary="Replace the device's key",
    responses=documented(400, 401, 408, 409, 413, 422, 429, 503),
)
def replace_device_key(request: Request, body: KeyChange, context: ContextDep) -> AccessToken:
    """Let the device go by another key from now on. Its client, and what that has done, stay; its older tokens end.

    The same request again, or another confirmation of a key that is the device's already, changes nothing.
    """
    client, manifest = replace_key(context, body)
    take(access_of(request).participants, client.id)
    return _token(request, client, manifest)


@router.get(
    "/task",
    operation_id="getOwnTask",
    summary="Read the task one takes part in",
    responses=documented(401, 404, 429, 503),
)
def get_own_task(participant: ParticipantDep, context: ContextDep) -> ParticipantTask:
    """The manifest: what is shared, what is private, how to train and what to report."""

    def read(tx: Connection) -> Task:
        client = credentials.client(tx, participant.client_id)
        if client is not None:
            require_current(participant.device_key, client.public_key)
        return tasks.get(tx, participant.task_id)

    task = context.db.run("read_task", read)
    return ParticipantTask(
        task_id=task.id,
        state=task.state,
        manifest=task.manifest,
        manifest_digest=task.manifest.digest,
        registry_url=context.registry.public_url,
    )


def _token(request: Request, client: Client, manifest: TaskManifest, *, is_proven: bool = True) -> AccessToken:
    """A token, which asks for signatures where whoever gets it has not shown that the client's key is theirs."""
    access = access_of(request)
    now = access.context.now()
    must_sign = access.requires_signatures or manifest.signed_requests or not is_proven
    speaks_for = access_tokens.Participant(client.id, client.task_id, manifest.model, client.public_key, must_sign)
    return AccessToken(
        access_token=access_tokens.issue(speaks_for, access.signing_key, now),
        must_sign=must_sign,
        expires_in_seconds=access_tokens.LIFETIME.total_seconds(),
    )
