"""Routes by which devices enrol, get tokens and read their task."""

import base64

from fastapi import APIRouter, Request
from sqlalchemy import Connection

from fedrec_protocol.messages import AccessToken, Enrolment, EnrolmentRequest, ParticipantTask, TokenRequest
from services.aggregator.api.access import AppDep, ContextDep, ParticipantDep, access_of, take
from services.aggregator.domain.errors import Unauthenticated
from services.aggregator.storage import credentials, tasks
from services.aggregator.storage.credentials import Client
from services.kit import access_tokens
from services.kit.ids import new_id
from services.kit.problems import documented

router = APIRouter(prefix="/v1", tags=["participants"])


@router.post(
    "/enrolments",
    status_code=201,
    operation_id="enrol",
    summary="Enrol a device",
    responses=documented(400, 401, 408, 413, 422, 429, 503),
)
def enrol(request: Request, body: EnrolmentRequest, key: AppDep, context: ContextDep) -> Enrolment:
    """Take a device into the task of the enrolment key. The same public key again is the same client."""
    public_key = base64.urlsafe_b64decode(body.public_key + "=")

    def step(tx: Connection) -> tuple[Client, str]:
        task = tasks.get(tx, key.task_id)
        client = credentials.enrol(tx, new_id("cli"), task.id, public_key, context.now())
        return client, task.manifest.model

    client, model = context.db.run("enrol", step)
    if client.is_revoked:
        raise Unauthenticated("this device's client was revoked")
    return Enrolment(client_id=client.id, task_id=client.task_id, token=_token(request, client, model))


@router.post(
    "/tokens",
    status_code=201,
    operation_id="getToken",
    summary="Get an access token",
    responses=documented(400, 401, 408, 413, 422, 429, 503),
)
def get_token(request: Request, body: TokenRequest, context: ContextDep) -> AccessToken:
    """Exchange an assertion that the device key has signed for an access token."""
    client_id = access_tokens.subject_of(body.assertion)
    if client_id is not None and not client_id.isprintable():
        client_id = None  # a database takes no NUL in a text

    def step(tx: Connection) -> tuple[Client, str] | None:
        client = None if client_id is None else credentials.client(tx, client_id)
        return None if client is None else (client, tasks.get(tx, client.task_id).manifest.model)

    found = context.db.run("find_client", step)
    if found is None or found[0].is_revoked:
        raise Unauthenticated("the assertion names no client, or one that was revoked")
    client, model = found
    try:
        access_tokens.verify_assertion(body.assertion, client.id, client.public_key, context.now())
    except access_tokens.TokenInvalid as error:
        raise Unauthenticated(str(error)) from error
    take(access_of(request).participants, client.id)
    return _token(request, client, model)


@router.get(
    "/task",
    operation_id="getOwnTask",
    summary="Read the task one takes part in",
    responses=documented(401, 404, 429, 503),
)
def get_own_task(participant: ParticipantDep, context: ContextDep) -> ParticipantTask:
    """The manifest: what is shared, what is private, how to train and what to report."""
    task = context.db.run("read_task", lambda tx: tasks.get(tx, participant.task_id))
    return ParticipantTask(
        task_id=task.id,
        state=task.state,
        manifest=task.manifest,
        manifest_digest=task.manifest.digest,
        registry_url=context.registry.public_url,
    )


def _token(request: Request, client: Client, model: str) -> AccessToken:
    access = access_of(request)
    now = access.context.now()
    speaks_for = access_tokens.Participant(client.id, client.task_id, model)
    return AccessToken(
        access_token=access_tokens.issue(speaks_for, access.signing_key, now),
        expires_in_seconds=access_tokens.LIFETIME.total_seconds(),
    )
