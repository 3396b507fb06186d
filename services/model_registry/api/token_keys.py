"""The aggregator's public keys, fetched when they are needed and remembered."""

import threading
import time
from collections.abc import Callable

import httpx
import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.kit.access_tokens import keys_from_jwks
from services.model_registry.domain.errors import Unauthenticated, Unavailable

log = structlog.get_logger(__name__)

MINIMUM_AGE_SECONDS = 5.0
"""Unknown keys do not make us ask more often than this: anybody can invent a key id."""
MAXIMUM_AGE_SECONDS = 600.0
"""Keys that the aggregator has withdrawn are forgotten after this."""
_FETCH_SECONDS = 2.0


class TokenKeys:
    """Public keys by key id; safe to use from many threads."""

    def __init__(self, url: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._tried = float("-inf")
        self._fetched = float("-inf")

    def for_token(self, token: str) -> dict[str, Ed25519PublicKey]:
        """The keys to verify a token with.

        Raises:
            Unauthenticated: it is no token, or names a key that the aggregator does not have.
            Unavailable: the aggregator must be asked, and does not answer.
        """
        key_id = _key_id(token)
        is_known = key_id in self._keys
        if is_known and self._monotonic() - self._fetched < MAXIMUM_AGE_SECONDS:
            return self._keys
        self._refresh(is_urgent=not is_known)
        if key_id not in self._keys:
            if self._fetched < self._tried:
                raise Unavailable("the aggregator's token keys cannot be fetched")
            raise Unauthenticated("the access token is signed with a key that this deployment does not have")
        return self._keys

    def _refresh(self, *, is_urgent: bool) -> None:
        # Whoever can do without new keys does not wait for them.
        if not self._lock.acquire(blocking=is_urgent, timeout=_FETCH_SECONDS if is_urgent else -1):
            return
        try:
            if self._monotonic() - self._tried < MINIMUM_AGE_SECONDS and self._tried > float("-inf"):
                return
            self._tried = self._monotonic()
            answer = httpx.get(self._url, timeout=_FETCH_SECONDS)
            self._keys = keys_from_jwks(answer.raise_for_status().json())
            self._fetched = self._tried
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            log.warning("cannot fetch token keys", url=self._url, error=type(error).__name__)
        finally:
            self._lock.release()


def _key_id(token: str) -> str:
    try:
        return str(jwt.get_unverified_header(token)["kid"])
    except (jwt.PyJWTError, KeyError) as error:
        raise Unauthenticated("present an operator key or an access token of this deployment") from error
