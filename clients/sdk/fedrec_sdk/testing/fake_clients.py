"""The fake's enrolments, access tokens, device keys and signatures."""

import secrets
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from fedrec_protocol.digest import content_digest
from fedrec_protocol.message_signatures import SignatureInvalid, SignedRequest, verify
from fedrec_protocol.messages import AccessToken, Enrolment, EnrolmentRequest, KeyChange
from fedrec_protocol.problems import Slug
from fedrec_protocol.secagg.encoding import from_base64url
from fedrec_sdk.identity import ALGORITHM, AUDIENCE, KEY_CHANGE_AUDIENCE
from fedrec_sdk.testing.fake_http import Request
from fedrec_sdk.testing.refusal import Refused

TOKEN_SECONDS = 900.0


class FakeClients:
    """Who enrolled, and which tokens are valid."""

    def __init__(self, task_id: str, enrolment_key: str, *, must_sign: bool = False) -> None:
        self.task_id = task_id
        self.enrolment_key = enrolment_key
        self.public_keys: dict[str, str] = {}
        self.revoked: set[str] = set()
        self._must_sign = must_sign
        self._tokens: dict[str, tuple[str, float]] = {}

    def enrol(self, bearer: str, request: EnrolmentRequest) -> Enrolment:
        """Take a device in; the same public key is the same client.

        Raises:
            Refused: `unauthenticated`.
        """
        if bearer != self.enrolment_key:
            raise Refused(Slug.UNAUTHENTICATED, "not the task's enrolment key")
        known = [client_id for client_id, key in self.public_keys.items() if key == request.public_key]
        client_id = known[0] if known else f"cli_{len(self.public_keys)}"
        if client_id in self.revoked:
            raise Refused(Slug.UNAUTHENTICATED, "this device's client was revoked")
        self.public_keys[client_id] = request.public_key
        return Enrolment(client_id=client_id, task_id=self.task_id, token=self._issue(client_id))

    def token(self, assertion: str) -> AccessToken:
        """A token for a device that signed for it.

        Raises:
            Refused: `unauthenticated`.
        """
        client_id = _subject(assertion)
        self._verify(assertion, client_id, self.public_keys.get(client_id, ""), AUDIENCE)
        return self._issue(client_id)

    def change_key(self, change: KeyChange) -> AccessToken:
        """Let a device go by another key, for which both keys have signed; the same again changes nothing.

        Raises:
            Refused: `unauthenticated` or `device-key-taken`.
        """
        client_id = _subject(change.confirmation)
        before, new = self.public_keys.get(client_id, ""), _new_key(change.confirmation)
        self._verify(change.confirmation, client_id, new, KEY_CHANGE_AUDIENCE)
        if before != new:
            self._verify(change.assertion, client_id, before, KEY_CHANGE_AUDIENCE)
            if _new_key(change.assertion) != new:
                raise Refused(Slug.UNAUTHENTICATED, "assertion and confirmation name two keys")
            if new in self.public_keys.values():
                raise Refused(Slug.DEVICE_KEY_TAKEN, "make a new key")
            self.public_keys[client_id] = new
            self._tokens = {token: held for token, held in self._tokens.items() if held[0] != client_id}
        return self._issue(client_id)

    def identify(self, request: Request) -> str:
        """The client that sends a request, with a signature where the task demands one.

        Raises:
            Refused: `unauthenticated`, `credential-expired`, `signature-required` or `signature-invalid`.
        """
        client_id = self.authenticate(request.bearer)
        if "signature-input" not in request.headers:
            if self._must_sign:
                raise Refused(Slug.SIGNATURE_REQUIRED, "sign the request with the device's key")
            return client_id
        digest = request.headers.get("content-digest")
        if digest not in ({None} if not request.body else {content_digest(request.body)}):
            raise Refused(Slug.INVALID_REQUEST, "the body is not the announced one", 400)
        try:
            verify(
                SignedRequest(request.method, request.path, digest, request.query),
                request.headers["signature-input"],
                request.headers.get("signature", ""),
                key_id=client_id,
                public_key=from_base64url(self.public_keys[client_id]),
                now=time.time(),
            )
        except SignatureInvalid as error:
            raise Refused(Slug.SIGNATURE_INVALID, str(error)) from error
        return client_id

    def authenticate(self, bearer: str) -> str:
        """The client that a token speaks for.

        Raises:
            Refused: `unauthenticated` or `credential-expired`.
        """
        if bearer not in self._tokens:
            raise Refused(Slug.UNAUTHENTICATED, "no token of this task")
        client_id, expires_at = self._tokens[bearer]
        if time.monotonic() > expires_at:
            raise Refused(Slug.CREDENTIAL_EXPIRED, "get a new token")
        return client_id

    def expire_tokens(self) -> None:
        """Let all tokens be past their end."""
        self._tokens = {token: (client_id, 0.0) for token, (client_id, _) in self._tokens.items()}

    def forget(self) -> None:
        """Lose all clients, as after a restore of an old backup."""
        self.public_keys.clear()
        self._tokens.clear()

    def _issue(self, client_id: str) -> AccessToken:
        token = secrets.token_urlsafe(32)
        self._tokens[token] = (client_id, time.monotonic() + TOKEN_SECONDS)
        return AccessToken(access_token=token, expires_in_seconds=TOKEN_SECONDS, must_sign=self._must_sign)

    def _verify(self, assertion: str, client_id: str, public_key: str, audience: str) -> None:
        try:
            key = Ed25519PublicKey.from_public_bytes(from_base64url(public_key))
            jwt.decode(assertion, key, algorithms=[ALGORITHM], audience=audience, subject=client_id, leeway=30)
        except (jwt.PyJWTError, ValueError) as error:
            raise Refused(Slug.UNAUTHENTICATED, "not signed by a client of this task") from error
        if client_id in self.revoked:
            raise Refused(Slug.UNAUTHENTICATED, "this client was revoked")


def _subject(assertion: str) -> str:
    return str(_claims(assertion).get("sub"))


def _new_key(assertion: str) -> str:
    return str(_claims(assertion).get("new_key"))


def _claims(assertion: str) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.PyJWTError as error:
        raise Refused(Slug.UNAUTHENTICATED, "the assertion is malformed") from error
    return claims
