"""Enrolment and access tokens: got when needed, kept in the store, renewed with the device key."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from fedrec_protocol.digest import content_digest
from fedrec_protocol.message_signatures import SignedRequest, sign
from fedrec_protocol.messages import AccessToken, Enrolment, EnrolmentRequest, TokenRequest
from fedrec_sdk.answers import parse
from fedrec_sdk.errors import Rejected
from fedrec_sdk.identity import Identity, device_key, enrolment_key_digest, load_identity, save_identity
from fedrec_sdk.store import LocalStore

if TYPE_CHECKING:
    from fedrec_sdk.transport import Transport

log = logging.getLogger(__name__)
T = TypeVar("T")

_RENEWED_BEFORE_END = 30.0
"""Seconds; so that a token does not run out on the way."""
_WRONG_CLOCK = 30.0
"""Seconds by which a clock may differ before an assertion is refused for it."""
_UNAUTHORISED = 401


class Credentials:
    """Who this participant is, and a valid token to say so. Safe to use from several threads."""

    def __init__(
        self, aggregator_url: str, enrolment_key: str, store: LocalStore, transport: Callable[[], "Transport"]
    ) -> None:
        self._url = aggregator_url
        self._enrolment_key = enrolment_key
        self._values = store.values
        self._transport = transport
        self._guard = threading.RLock()

    def identity(self) -> Identity:
        """Who this participant is; enrols when this is not known yet.

        Raises:
            Rejected: the enrolment key is wrong, revoked or expired.
            Unavailable: no answer.
        """
        with self._guard:
            return load_identity(self._values, self._enrolment_key) or self._enrol()

    def signed(self, method: str, url: str, body: bytes | None) -> dict[str, str]:
        """The header fields of a request that this device signs, now."""
        digest = None if body is None else content_digest(body)
        request = SignedRequest(method, urlsplit(url).path, digest)
        created = int(self._transport().server_time(self._url))
        fields = sign(request, self.identity().client_id, created, device_key(self._values).sign)
        return fields if digest is None else fields | {"Content-Digest": digest}

    def authorised(self, call: Callable[[str], T]) -> T:
        """Call with an access token, and once more with a fresh one if it is refused.

        Raises:
            Rejected: refused with a fresh token too.
            Unavailable: no answer.
        """
        token = self._valid_token()
        try:
            return call(token)
        except Rejected as refusal:
            if refusal.problem.status != _UNAUTHORISED:
                raise
        return call(self._renewed(token).token)

    def _valid_token(self) -> str:
        identity = self.identity()
        if time.time() < identity.token_expires_at - _RENEWED_BEFORE_END:
            return identity.token
        return self._renewed(identity.token).token

    def _renewed(self, refused: str) -> Identity:
        with self._guard:
            identity = self.identity()
            if identity.token != refused:  # another thread was here first
                return identity
            return self._sign_for_token(identity) or self._enrol()

    def _sign_for_token(self, identity: Identity) -> Identity | None:
        """The identity with a new token; None when the server does not know this client any more."""
        for _ in range(2):
            now = self._transport().server_time(self._url)
            assertion = device_key(self._values).assertion(identity.client_id, now)
            try:
                answer = self._post("/v1/tokens", TokenRequest(assertion=assertion))
                return self._save(identity.client_id, identity.task_id, parse(AccessToken, answer))
            except Rejected as refusal:
                if refusal.problem.status != _UNAUTHORISED:
                    raise
            # The refusal told the server's time: if our clock was wrong, that may have been the reason.
            if abs(self._transport().server_time(self._url) - now) < _WRONG_CLOCK:
                return None
        return None

    def _enrol(self) -> Identity:
        request = EnrolmentRequest(public_key=device_key(self._values).public_key)
        answer = self._post("/v1/enrolments", request, bearer=self._enrolment_key)
        enrolment = parse(Enrolment, answer)
        log.info("enrolled as %s in task %s", enrolment.client_id, enrolment.task_id)
        return self._save(enrolment.client_id, enrolment.task_id, enrolment.token)

    def _save(self, client_id: str, task_id: str, token: AccessToken) -> Identity:
        identity = Identity(
            client_id=client_id,
            task_id=task_id,
            enrolment_key_digest=enrolment_key_digest(self._enrolment_key),
            token=token.access_token,
            token_expires_at=time.time() + token.expires_in_seconds,
        )
        save_identity(self._values, identity)
        return identity

    def _post(self, path: str, request: EnrolmentRequest | TokenRequest, bearer: str | None = None) -> bytes:
        headers = {"Content-Type": "application/json"}
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        body = request.model_dump_json().encode()
        return self._transport().send("POST", self._url + path, headers=headers, body=body).body
