"""Who is asking: participants by access token, operators and apps by key."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from fedrec_protocol.messages import Role
from fedrec_protocol.operator_messages import EnrolmentKeyView, OperatorKeyView
from services.aggregator.domain.errors import (
    CredentialExpired,
    Forbidden,
    RateLimited,
    Unauthenticated,
)
from services.aggregator.domain.vouchers import vouched_for
from services.aggregator.pipeline.context import Context
from services.aggregator.settings import Settings
from services.aggregator.storage import operator_keys
from services.aggregator.storage.credentials import find_enrolment_key
from services.kit import access_tokens
from services.kit.headers import first_header
from services.kit.rate_limits import RateLimit
from services.kit.signed_requests import verify_signature

_ROLES = (Role.READ, Role.RUN, Role.ADMIN)
_REMEMBERED_TOKENS = 20_000
_OPERATORS_ONLY = "this needs an operator key, `fo_...`"
_MISSING = "send `Authorization: Bearer ...`"

_participant_scheme = HTTPBearer(
    scheme_name="participant", description="Access token of a participant", auto_error=False
)
_operator_scheme = HTTPBearer(scheme_name="operator", description="Operator key `fo_...`", auto_error=False)
_app_scheme = HTTPBearer(scheme_name="app", description="Enrolment key `fe_...` of a task", auto_error=False)

V = TypeVar("V", OperatorKeyView, EnrolmentKeyView)
Bearer = HTTPAuthorizationCredentials | None


class Access:
    """Checks credentials; one for each process."""

    def __init__(self, context: Context, signing_keys: list[Ed25519PrivateKey], settings: Settings) -> None:
        self.context = context
        self.participants = RateLimit("participant", settings.rates.participants)
        self.operators = RateLimit("operator", settings.rates.operators)
        self.apps = RateLimit("app", settings.rates.apps)
        self.signing_key = signing_keys[0]
        self.pepper = settings.key_pepper
        self.requires_signatures = settings.require_signed_requests
        self.public_keys = [key.public_key() for key in signing_keys]
        accepted = {access_tokens.key_id(key): key for key in self.public_keys}
        # A signature takes longer to check than a small report to read; tokens are presented many times.
        self._decode = lru_cache(_REMEMBERED_TOKENS)(lambda token: access_tokens.decode(token, accepted))

    def participant(self, token: str) -> access_tokens.Participant:
        """Who an access token speaks for now."""
        try:
            participant = self._decode(token)
        except access_tokens.TokenInvalid as error:
            raise Unauthenticated("present an access token of this deployment") from error
        if self.context.now().timestamp() > participant.expires_at:
            raise CredentialExpired("the access token has expired: get a new one at /v1/tokens")
        take(self.participants, participant.client_id)
        return participant

    def require_signature(self, request: Request, participant: access_tokens.Participant) -> None:
        """Pass requests that the participant's device has signed, and others where they need not be signed.

        Raises:
            SignatureRefused: it may be a stolen token.
        """
        is_required = participant.must_sign or self.requires_signatures
        verify_signature(request, participant, self.context.now(), is_required=is_required)

    def operator(self, secret: str) -> OperatorKeyView:
        """Whose operator key this is."""
        db = self.context.db
        view = self._valid(db.run("find_operator_key", lambda tx: operator_keys.keys.find(tx, secret, self.pepper)))
        take(self.operators, view.key_id)
        return view

    def app(self, secret: str) -> EnrolmentKeyView:
        """Which task's enrolment key this is; `person` says who uses it, where it demands vouchers."""
        db = self.context.db
        view = self._valid(db.run("find_enrolment_key", lambda tx: find_enrolment_key(tx, secret, self.pepper)))
        if view.vouchers is None:  # else whoever took the key out of the app could use up what is the app's
            take(self.apps, view.key_id)
        return view

    def person(self, key: EnrolmentKeyView, voucher: str | None, public_key: bytes) -> bytes | None:
        """The hash of the person whom a voucher is for; None where nobody has to vouch for anybody.

        Raises:
            VoucherRequired, VoucherInvalid, InvalidVouchers: the voucher is not as the key demands.
        """
        person = vouched_for(voucher, key.vouchers, public_key, self.context.now())
        if person is None:
            return None
        person_hash = person.hash(self.pepper, key.task_id)
        take(self.participants, person_hash.hex())
        take(self.apps, key.key_id)
        return person_hash

    def _valid(self, key: V | None) -> V:
        if key is None:
            raise Unauthenticated("present a valid key")
        if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= self.context.now()):
            raise CredentialExpired("the key was revoked, or has expired")
        return key


def take(limit: RateLimit, credential: str) -> None:
    """Count a request with a credential that was checked; raises `RateLimited`.

    Nothing is counted before the check: whoever only claims to be somebody cannot use up what is theirs.
    """
    wait = limit.take(credential)
    if wait > 0:
        raise RateLimited(wait)


@dataclass(frozen=True)
class Operator:
    """An operator who may do what was asked."""

    name: str
    role: Role


def access_of(request: Request) -> Access:
    """The process's credential checks."""
    access: Access = request.app.state.access
    return access


def participant_of(request: Request) -> access_tokens.Participant:
    """The participant that sends this request; 401 otherwise."""
    token = _token(request)
    if token is None:
        raise Unauthenticated(_MISSING)
    access = access_of(request)
    participant = access.participant(token)
    access.require_signature(request, participant)
    return participant


def _token(request: Request) -> str | None:
    scheme, _, token = (first_header(request, b"authorization") or "").partition(" ")
    return token if scheme.lower() == "bearer" and token else None


# Dependencies that do not wait are coroutines: FastAPI runs plain functions in a thread, which costs more than they do.
async def participant(
    request: Request, _: Annotated[Bearer, Depends(_participant_scheme)]
) -> access_tokens.Participant:
    """The same as a dependency, which documents it too."""
    return participant_of(request)


def app_key(request: Request, bearer: Annotated[Bearer, Depends(_app_scheme)]) -> EnrolmentKeyView:
    """The enrolment key that this request carries; 401 otherwise."""
    return access_of(request).app(_credential(bearer))


def operator(least: Role) -> Callable[..., Operator]:
    """A dependency: the operator that sends this request, of at least this role; 401 or 403 otherwise."""

    def check(request: Request, bearer: Annotated[Bearer, Depends(_operator_scheme)]) -> Operator:
        secret = _credential(bearer)
        access = access_of(request)
        if not secret.startswith("fo_"):
            _require_participant(access, secret)  # who may not come here
            raise Forbidden(_OPERATORS_ONLY)
        view = access.operator(secret)
        if _ROLES.index(view.role) < _ROLES.index(least):
            raise Forbidden(f"this needs an operator key of role {least}")
        return Operator(view.name, view.role)

    return check


def _require_participant(access: Access, token: str) -> None:
    try:
        access.participant(token)
    except Unauthenticated as error:
        raise Unauthenticated(_OPERATORS_ONLY) from error


def _credential(bearer: Bearer) -> str:
    if bearer is None:
        raise Unauthenticated(_MISSING)
    return bearer.credentials


ParticipantDep = Annotated[access_tokens.Participant, Depends(participant)]
AppDep = Annotated[EnrolmentKeyView, Depends(app_key)]
ReadDep = Annotated[Operator, Depends(operator(Role.READ))]
RunDep = Annotated[Operator, Depends(operator(Role.RUN))]
AdminDep = Annotated[Operator, Depends(operator(Role.ADMIN))]


async def context_of(request: Request) -> Context:
    """The process's stores."""
    context: Context = request.app.state.context
    return context


ContextDep = Annotated[Context, Depends(context_of)]
