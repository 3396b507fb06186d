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
from fedrec_protocol.thumbprint import thumbprint
from fedrec_sdk.identity import ALGORITHM, AUDIENCE, KEY_CHANGE_AUDIENCE
from fedrec_sdk.testing.fake_http import Request
from fedrec_sdk.testing.refusal import Refused

TOKEN_SECONDS = 900.0


class FakeClients:
    """Who enrolled, and which tokens are valid."""

    def __init__(self, task_id: str, enrolment_key: str, *, must_sign: bool = False, vouchers: bool = False) -> None:
        self.task_id = task_id
        self.enrolment_key = enrolment_key
        self.public_keys: dict[str, str] = {}
        self.revoked: set[str] = set()
        self._must_sign = must_sign
        self._demands_vouchers = vouchers
        self._persons: dict[str, str] = {}
        self._tokens: dict[str, tuple[str, float, bool]] = {}

    def enrol(self, bearer: str, request: EnrolmentRequest) -> Enrolment:
        """Take a device in; the same public key, or the same person, is the same client.

        Raises:
            Refused: `unauthenticated`, `voucher-required`, `voucher-invalid` or `device-key-taken`.
        """
        if bearer != self.enrolment_key:
            raise Refused(Slug.UNAUTHENTICATED, "not the task's enrolment key")
        person = self._person(request)
        of_key = next((client_id for client_id, key in self.public_keys.items() if key == request.public_key), None)
        client_id = of_key if person is None else self._persons.get(person)
        if client_id != of_key and of_key is not None:
            raise Refused(Slug.DEVICE_KEY_TAKEN, "make a new key")
        is_new = client_id is None
        client_id = client_id or f"cli_{len(self.public_keys)}"
        if client_id in self.revoked:
            raise Refused(Slug.UNAUTHENTICATED, "this device's client was revoked")
        if person is not None:
            self._persons[person] = client_id
        self._set_key(client_id, request.public_key)
        return Enrolment(client_id=client_id, task_id=self.task_id, token=self._issue(client_id, is_proven=is_new))

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
            self._set_key(client_id, new)
        return self._issue(client_id)

    def identify(self, request: Request) -> str:
        """The client that sends a request, with a signature where the task demands one.

        Raises:
            Refused: `unauthenticated`, `credential-expired`, `signature-required` or `signature-invalid`.
        """
        client_id = self.authenticate(request.bearer)
        if "signature-input" not in request.headers:
            if self._tokens[request.bearer][2]:
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
        client_id, expires_at, _ = self._tokens[bearer]
        if time.monotonic() > expires_at:
            raise Refused(Slug.CREDENTIAL_EXPIRED, "get a new token")
        return client_id

    def expire_tokens(self) -> None:
        """Let all tokens be past their end."""
        self._tokens = {token: (client_id, 0.0, signs) for token, (client_id, _, signs) in self._tokens.items()}

    def forget(self) -> None:
        """Lose all clients, as after a restore of an old backup."""
        self.public_keys.clear()
        self._persons.clear()
        self._tokens.clear()

    def _person(self, request: EnrolmentRequest) -> str | None:
        """Who a voucher says that somebody is; its signature is not checked."""
        if not self._demands_vouchers:
            if request.voucher is not None:
                raise Refused(Slug.INVALID_REQUEST, "this enrolment key demands no voucher")
            return None
        if request.voucher is None:
            raise Refused(Slug.VOUCHER_REQUIRED, "send a voucher")
        claims = _claims(request.voucher, Slug.VOUCHER_INVALID)
        own = thumbprint(from_base64url(request.public_key))
        is_ours = claims.get("cnf", {"jkt": own}).get("jkt") == own
        if not is_ours or not claims.get("sub") or claims.get("exp", 0.0) < time.time():
            raise Refused(Slug.VOUCHER_INVALID, "it has expired, names nobody, or another device's key")
        return str(claims["sub"])

    def _set_key(self, client_id: str, public_key: str) -> None:
        if self.public_keys.get(client_id) != public_key:
            self._tokens = {token: held for token, held in self._tokens.items() if held[0] != client_id}
        self.public_keys[client_id] = public_key

    def _issue(self, client_id: str, *, is_proven: bool = True) -> AccessToken:
        token, must_sign = secrets.token_urlsafe(32), self._must_sign or not is_proven
        self._tokens[token] = (client_id, time.monotonic() + TOKEN_SECONDS, must_sign)
        return AccessToken(access_token=token, expires_in_seconds=TOKEN_SECONDS, must_sign=must_sign)

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


def _claims(assertion: str, slug: Slug = Slug.UNAUTHENTICATED) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.PyJWTError as error:
        raise Refused(slug, "the JWT is malformed") from error
    return claims
