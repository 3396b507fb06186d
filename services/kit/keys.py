"""Long-lived random keys of operators and apps: made here, shown once, stored as a keyed hash.

A key holds 256 random bits, so a fast keyed hash is enough; slow password hashes protect short secrets
and would cost 150 ms of CPU a request.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

_SECRET_BYTES = 32
_LOOKUP_LENGTH = 12


@dataclass(frozen=True)
class NewKey:
    """A key at the moment it is made."""

    secret: str
    """What its holder sends; shown once."""
    lookup: str
    """Its first characters: indexed, not secret."""
    key_hash: bytes
    """What is stored."""


def make_key(prefix: str, pepper: bytes) -> NewKey:
    """A new key such as `fo_Zk...`; `pepper` is the deployment's secret that the hash is keyed with."""
    return from_secret(f"{prefix}_{secrets.token_urlsafe(_SECRET_BYTES)}", pepper)


def from_secret(secret: str, pepper: bytes) -> NewKey:
    """A key whose secret was chosen elsewhere, such as the bootstrap administrator's."""
    return NewKey(secret, lookup_of(secret), hash_of(secret, pepper))


def lookup_of(secret: str) -> str:
    """The indexed, non-secret part of a key."""
    return secret[:_LOOKUP_LENGTH]


def hash_of(secret: str, pepper: bytes) -> bytes:
    """HMAC-SHA256 of a key, 32 bytes."""
    return hmac.digest(pepper, secret.encode(), hashlib.sha256)


def matches(secret: str, pepper: bytes, key_hash: bytes) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(hash_of(secret, pepper), key_hash)
