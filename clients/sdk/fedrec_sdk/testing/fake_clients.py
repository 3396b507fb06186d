"""The fake's enrolments and access tokens."""

import base64
import secrets
import time

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from fedrec_protocol.messages import AccessToken, Enrolment, EnrolmentRequest
from fedrec_protocol.problems import Slug
from fedrec_sdk.identity import ALGORITHM, AUDIENCE
from fedrec_sdk.testing.refusal import Refused

TOKEN_SECONDS = 900.0


class FakeClients:
    """Who enrolled, and which tokens are valid."""

    def __init__(self, task_id: str, enrolment_key: str) -> None:
        self.task_id = task_id
        self.enrolment_key = enrolment_key
        self.public_keys: dict[str, str] = {}
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
        self.public_keys[client_id] = request.public_key
        return Enrolment(client_id=client_id, task_id=self.task_id, token=self._issue(client_id))

    def token(self, assertion: str) -> AccessToken:
        """A token for a device that signed for it.

        Raises:
            Refused: `unauthenticated`.
        """
        try:
            client_id = str(jwt.decode(assertion, options={"verify_signature": False})["sub"])
            raw = base64.urlsafe_b64decode(self.public_keys[client_id] + "=")
            jwt.decode(
                assertion, Ed25519PublicKey.from_public_bytes(raw), algorithms=[ALGORITHM], audience=AUDIENCE, leeway=30
            )
        except (jwt.PyJWTError, KeyError) as error:
            raise Refused(Slug.UNAUTHENTICATED, "not signed by a client of this task") from error
        return self._issue(client_id)

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
        return AccessToken(access_token=token, expires_in_seconds=TOKEN_SECONDS)
