"""Enrolment, access tokens and the device key: got when needed, kept in the store, renewed and replaced."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from fedrec_protocol.base import Message
from fedrec_protocol.digest import content_digest
from fedrec_protocol.message_signatures import SignedRequest, sign
from fedrec_protocol.messages import AccessToken, Enrolment, EnrolmentRequest, KeyChange, TokenRequest
from fedrec_protocol.problems import Slug
from fedrec_protocol.thumbprint import thumbprint
from fedrec_sdk.answers import parse
from fedrec_sdk.errors import Rejected
from fedrec_sdk.identity import (
    Identity,
    adopt_next_key,
    device_key,
    drop_next_key,
    enrolment_key_digest,
    is_key_changing,
    load_identity,
    new_device_key,
    next_device_key,
    save_identity,
)
from fedrec_sdk.store import LocalStore

if TYPE_CHECKING:
    from fedrec_sdk.transport import Transport

log = logging.getLogger(__name__)
T = TypeVar("T")
Authorise = Callable[[str, str, bytes | None], dict[str, str]]
"""The header fields of a request, by its method, address and body, that say who sends it."""
VoucherFor = Callable[[str], str]
"""Asks the app's backend, or its identity provider, for a voucher, by the thumbprint of the device's key."""

_RENEWED_BEFORE_END = 30.0
"""Seconds; so that a token does not run out on the way."""
_WRONG_CLOCK = 30.0
"""Seconds by which a clock may differ before an assertion is refused for it."""
_UNAUTHORISED = 401


class Credentials:
    """Who this participant is, and a valid token to say so. Safe to use from several threads."""

    def __init__(
        self,
        aggregator_url: str,
        enrolment_key: str,
        store: LocalStore,
        transport: Callable[[], "Transport"],
        *,
        key_lifetime: timedelta | None = None,
        voucher: VoucherFor | None = None,
    ) -> None:
        self._url = aggregator_url
        self._enrolment_key = enrolment_key
        self._store = store
        self._values = store.values
        self._key_lifetime = key_lifetime
        self._voucher = voucher
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

    def authorised(self, call: Callable[[Authorise], T]) -> T:
        """Call with a way to authorise requests, and once more with a fresh token if that is refused.

        Raises:
            Rejected: refused with a fresh token too.
            Unavailable: no answer.
        """
        identity = self._with_valid_token()
        try:
            return call(partial(self._headers, identity))
        except Rejected as refusal:
            if refusal.problem.status != _UNAUTHORISED:
                raise
        return call(partial(self._headers, self._renewed(identity.token)))

    def rotate_key(self) -> None:
        """Replace the device's key by a new one; what was begun before is finished.

        Raises:
            Rejected: the client is not known any more, or was revoked.
            Unavailable: no answer. Either key may be the device's now; the next request finds out.
        """
        with self._guard:
            self._with_next_key(self.identity())

    def _headers(self, identity: Identity, method: str, url: str, body: bytes | None) -> dict[str, str]:
        """The header fields that say who sends a request, signed where the token demands it."""
        bearer = {"Authorization": f"Bearer {identity.token}"}
        if not identity.must_sign:
            return bearer
        address, digest = urlsplit(url), None if body is None else content_digest(body)
        request = SignedRequest(method, address.path, digest, address.query)
        created = int(self._transport().server_time(self._url))
        fields = sign(request, identity.client_id, created, device_key(self._values).sign)
        return bearer | fields | ({} if digest is None else {"Content-Digest": digest})

    def _with_valid_token(self) -> Identity:
        identity = self.identity()
        if time.time() < identity.token_expires_at - _RENEWED_BEFORE_END:
            return identity
        return self._renewed(identity.token)

    def _renewed(self, refused: str) -> Identity:
        with self._guard:
            identity = self.identity()
            if identity.token != refused:  # another thread was here first
                return identity
            ways = (self._with_next_key, self._with_key) if self._is_rotation_due(identity) else (self._with_key,)
            for way in ways:
                try:
                    return way(identity)
                except Rejected as refusal:
                    if refusal.problem.status != _UNAUTHORISED:
                        raise
            return self._enrol()

    def _is_rotation_due(self, identity: Identity) -> bool:
        """Whether a rotation was interrupted, or the key is too old and no secure round is bound to it."""
        if is_key_changing(self._values):
            return True
        if self._key_lifetime is None:
            return False
        # A key from the future was made while the clock was wrong: how old it is, nobody knows.
        if 0 <= time.time() - identity.key_since < self._key_lifetime.total_seconds():
            return False
        return self._store.secure_rounds.pending() is None

    def _with_key(self, identity: Identity) -> Identity:
        """The identity with a new token."""
        key = device_key(self._values)

        def request(now: float) -> TokenRequest:
            return TokenRequest(assertion=key.assertion(identity.client_id, now))

        token = self._proven("POST", "/v1/tokens", request)
        drop_next_key(self._values)
        return self._save(identity.client_id, identity.task_id, token, key_since=identity.key_since)

    def _with_next_key(self, identity: Identity) -> Identity:
        """The identity with a new key, and a token for it. The same again, after a lost answer, is harmless."""
        key, new = device_key(self._values), next_device_key(self._values)

        def request(now: float) -> KeyChange:
            assertion, confirmation = (each.wish_for(new, identity.client_id, now) for each in (key, new))
            return KeyChange(assertion=assertion, confirmation=confirmation)

        token = self._proven("PUT", "/v1/device-key", request)
        adopt_next_key(self._values)
        log.info("%s goes by a new device key", identity.client_id)
        return self._save(identity.client_id, identity.task_id, token, key_since=time.time())

    def _proven(self, method: str, path: str, request: Callable[[float], Message]) -> AccessToken:
        """The answer to a request that holds what the device signed now, by the server's clock."""
        now = self._transport().server_time(self._url)
        try:
            return parse(AccessToken, self._post(path, request(now), method=method))
        except Rejected as refusal:
            # The refusal told the server's time: if our clock was wrong, that may have been the reason.
            told = self._transport().server_time(self._url)
            if refusal.problem.status != _UNAUTHORISED or abs(told - now) < _WRONG_CLOCK:
                raise
        return parse(AccessToken, self._post(path, request(told), method=method))

    def _enrol(self) -> Identity:
        try:
            enrolment = self._enrolled()
        except Rejected as refusal:
            if refusal.slug != Slug.DEVICE_KEY_TAKEN:
                raise
            # It was somebody else's on this device, or this person's before anybody had to vouch for them.
            self._store.secure_rounds.discard()
            new_device_key(self._values)
            enrolment = self._enrolled()
        log.info("enrolled as %s in task %s", enrolment.client_id, enrolment.task_id)
        return self._save(enrolment.client_id, enrolment.task_id, enrolment.token, key_since=time.time())

    def _enrolled(self) -> Enrolment:
        key = device_key(self._values)
        voucher = None if self._voucher is None else self._voucher(thumbprint(key.public_bytes))
        request = EnrolmentRequest(public_key=key.public_key, voucher=voucher)
        return parse(Enrolment, self._post("/v1/enrolments", request, bearer=self._enrolment_key))

    def _save(self, client_id: str, task_id: str, token: AccessToken, *, key_since: float) -> Identity:
        identity = Identity(
            client_id=client_id,
            task_id=task_id,
            enrolment_key_digest=enrolment_key_digest(self._enrolment_key),
            token=token.access_token,
            token_expires_at=time.time() + token.expires_in_seconds,
            must_sign=token.must_sign,
            key_since=key_since,
        )
        save_identity(self._values, identity)
        return identity

    def _post(self, path: str, request: Message, *, method: str = "POST", bearer: str | None = None) -> bytes:
        headers = {"Content-Type": "application/json"}
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        body = request.model_dump_json(exclude_none=True).encode()  # older services refuse a field they do not know
        return self._transport().send(method, self._url + path, headers=headers, body=body).body
