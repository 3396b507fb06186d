"""Who is asking: operators by key, participants by access token."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from fedrec_protocol.messages import Role
from services.kit import access_tokens
from services.kit.rate_limits import RateLimit
from services.kit.signed_requests import verify_signature
from services.model_registry.api.context import Context, ContextDep
from services.model_registry.domain.callers import Caller, Operator, Participant, require_role
from services.model_registry.domain.errors import (
    CredentialExpired,
    RateLimited,
    Unauthenticated,
)
from services.model_registry.storage import operator_keys

_operator_scheme = HTTPBearer(scheme_name="operator", description="Operator key `fo_...`", auto_error=False)
_participant_scheme = HTTPBearer(
    scheme_name="participant", description="Access token of a participant of a task of this model", auto_error=False
)

Bearer = HTTPAuthorizationCredentials | None
OperatorBearer = Annotated[Bearer, Depends(_operator_scheme)]
ParticipantBearer = Annotated[Bearer, Depends(_participant_scheme)]


def authenticate(context: Context, bearer: Bearer, request: Request) -> Caller:
    """Who presents this credential, with a signature where its token demands one.

    Raises:
        Unauthenticated: nobody we know.
        CredentialExpired: somebody we knew.
        SignatureRefused: it may be a stolen token.
        RateLimited: too often.
        Unavailable: it cannot be checked now.
    """
    if bearer is None:
        raise Unauthenticated("send `Authorization: Bearer ...`")
    if bearer.credentials.startswith("fo_"):
        operator = _operator(context, bearer.credentials)
        _take(context.operators, operator.key_id)
        return operator
    participant = _participant(context, bearer.credentials, request)
    _take(context.participants, participant.client_id)
    return participant


def caller(context: ContextDep, request: Request, bearer: OperatorBearer, _: ParticipantBearer) -> Caller:
    """Anybody with a valid credential; 401 otherwise."""
    return authenticate(context, bearer, request)


def operator(least: Role) -> Callable[..., Operator]:
    """A dependency: an operator of at least this role; 401 or 403 otherwise."""

    def check(context: ContextDep, request: Request, bearer: OperatorBearer) -> Operator:
        return require_role(authenticate(context, bearer, request), least)

    return check


CallerDep = Annotated[Caller, Depends(caller)]
ReadDep = Annotated[Operator, Depends(operator(Role.READ))]
RunDep = Annotated[Operator, Depends(operator(Role.RUN))]
AdminDep = Annotated[Operator, Depends(operator(Role.ADMIN))]


def _operator(context: Context, secret: str) -> Operator:
    pepper = context.settings.key_pepper
    key = context.db.run("find_operator_key", lambda tx: operator_keys.keys.find(tx, secret, pepper))
    if key is None:
        raise Unauthenticated("present a valid key")
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= context.clock.now()):
        raise CredentialExpired("the key was revoked, or has expired")
    return Operator(key.key_id, key.name, key.role)


def _participant(context: Context, token: str, request: Request) -> Participant:
    now = context.clock.now()
    try:
        valid = access_tokens.verify(token, context.token_keys.for_token(token), now)
    except access_tokens.TokenInvalid as error:
        raise Unauthenticated("present an access token of this deployment") from error
    except access_tokens.TokenExpired as error:
        raise CredentialExpired("the access token has expired: get a new one from the aggregator") from error
    verify_signature(request, valid, now, is_required=valid.must_sign)
    return Participant(valid.client_id, valid.model)


def _take(limit: RateLimit, credential: str) -> None:
    wait = limit.take(credential)
    if wait > 0:
        raise RateLimited(wait)
