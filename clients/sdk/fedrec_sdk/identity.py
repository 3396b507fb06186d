"""The device's identity: an Ed25519 key that is made here and never leaves."""

import base64
import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedrec_protocol.base import Response
from fedrec_sdk.store.values import Values

AUDIENCE = "fedrec"
KEY_CHANGE_AUDIENCE = "fedrec device key"
ALGORITHM = "EdDSA"
ASSERTION_SECONDS = 120
_KEY, _NEXT_KEY = "device_key", "next_device_key"


@dataclass(frozen=True)
class DeviceKey:
    """The device's key pair."""

    private_bytes: bytes
    """Raw private key, 32 bytes."""

    @property
    def public_key(self) -> str:
        """Raw public key, base64url without padding, as an enrolment carries it."""
        return base64.urlsafe_b64encode(self._key.public_key().public_bytes_raw()).rstrip(b"=").decode()

    @property
    def public_bytes(self) -> bytes:
        """Raw public key, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, payload: bytes) -> bytes:
        """An Ed25519 signature, 64 bytes."""
        return self._key.sign(payload)

    def assertion(self, client_id: str, now: float) -> str:
        """A signed request for a token, valid for two minutes from `now` (seconds since the epoch)."""
        return self._claim(client_id, now, aud=AUDIENCE)

    def wish_for(self, new: "DeviceKey", client_id: str, now: float) -> str:
        """A signed request to go by another key, or by this one; valid for two minutes from `now`."""
        return self._claim(client_id, now, aud=KEY_CHANGE_AUDIENCE, new_key=new.public_key)

    def _claim(self, client_id: str, now: float, **claims: str) -> str:
        import jwt  # noqa: PLC0415 - most runs find a valid token in the store and need none

        moment = {"iat": int(now), "exp": int(now) + ASSERTION_SECONDS}
        return jwt.encode({"iss": client_id, "sub": client_id, **claims, **moment}, self._key, algorithm=ALGORITHM)

    @property
    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.private_bytes)


def device_key(values: Values) -> DeviceKey:
    """The key of this store, made on first use."""
    return DeviceKey(values.get_or_put(_KEY, Ed25519PrivateKey.generate().private_bytes_raw()))


def new_device_key(values: Values) -> DeviceKey:
    """Another key in the place of this store's, which no server goes by."""
    drop_next_key(values)
    values.put(_KEY, Ed25519PrivateKey.generate().private_bytes_raw())
    return device_key(values)


def next_device_key(values: Values) -> DeviceKey:
    """The key that is to replace this store's, made on first use: kept before a server hears of it."""
    return DeviceKey(values.get_or_put(_NEXT_KEY, Ed25519PrivateKey.generate().private_bytes_raw()))


def is_key_changing(values: Values) -> bool:
    """Whether a server may have heard of the next key, and go by it already."""
    return values.get(_NEXT_KEY) is not None


def adopt_next_key(values: Values) -> None:
    """Let the next key be this store's."""
    values.rename(_NEXT_KEY, _KEY)


def drop_next_key(values: Values) -> None:
    """The server goes by the key that this store has: there is no other one."""
    values.delete(_NEXT_KEY)


class Identity(Response):
    """Who this device is for one enrolment key, and the token it has; kept in the store."""

    client_id: str
    """Opaque id of this client."""
    task_id: str
    """The task it takes part in."""
    enrolment_key_digest: str
    """Which enrolment key it enrolled with: another one means another task, or a rotated key."""
    token: str
    """Access token."""
    token_expires_at: float
    """When to get a new one: seconds since the epoch by this device's clock."""
    must_sign: bool = False
    """Whether requests with the token have to be signed with the device's key."""
    key_since: float = 0.0
    """Since when the device has its key: seconds since the epoch by its clock; 0 for longer than it knows."""


def load_identity(values: Values, enrolment_key: str) -> Identity | None:
    """The identity for this enrolment key; None before enrolment."""
    content = values.get("identity")
    identity = None if content is None else Identity.model_validate_json(content)
    if identity is None or identity.enrolment_key_digest != enrolment_key_digest(enrolment_key):
        return None
    return identity


def save_identity(values: Values, identity: Identity) -> None:
    """Keep the identity for the next process."""
    values.put("identity", identity.model_dump_json().encode())


def enrolment_key_digest(enrolment_key: str) -> str:
    """Tells enrolment keys apart without keeping them."""
    return hashlib.sha256(enrolment_key.encode()).hexdigest()
