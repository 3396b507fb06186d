"""Access tokens of participants: EdDSA JWTs, issued by the aggregator, verified by both services."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

AUDIENCE = "fedrec"
ALGORITHM = "EdDSA"
LIFETIME = timedelta(minutes=15)


class TokenInvalid(Exception):
    """The token is not one of ours, or is malformed."""


class TokenExpired(Exception):
    """The token was one of ours, and is no longer valid."""


@dataclass(frozen=True)
class Participant:
    """Who a valid access token speaks for."""

    client_id: str
    task_id: str
    model: str
    device_key: bytes | None = None
    """The Ed25519 key that the token is bound to, 32 bytes; None for a token of an older release."""
    must_sign: bool = False
    """Whether its requests have to be signed with that key."""
    expires_at: float = 0.0
    """Seconds since the epoch; set by `decode`."""


def signing_key(deployment_key: bytes) -> Ed25519PrivateKey:
    """The signing key of a deployment: derived, so that all replicas share it without storing it."""
    seed = HKDF(hashes.SHA256(), 32, salt=None, info=b"fedrec access tokens v1").derive(deployment_key)
    return Ed25519PrivateKey.from_private_bytes(seed)


def key_id(public_key: Ed25519PublicKey) -> str:
    """A short name of a key, for the JWT header and the JWKS document."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(_raw(public_key))
    return digest.finalize().hex()[:16]


def issue(participant: Participant, key: Ed25519PrivateKey, now: datetime) -> str:
    """A token that is valid for `LIFETIME` from now, bound to the device's key (`cnf`, RFC 7800)."""
    claims: dict[str, Any] = {
        "sub": participant.client_id,
        "task": participant.task_id,
        "model": participant.model,
        "aud": AUDIENCE,
        "iat": int(now.timestamp()),
        "exp": int((now + LIFETIME).timestamp()),
    }
    if participant.device_key is not None:
        claims["cnf"] = {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": _base64url(participant.device_key)}}
    if participant.must_sign:
        claims["must_sign"] = True
    return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": key_id(key.public_key())})


def decode(token: str, keys: Mapping[str, Ed25519PublicKey]) -> Participant:
    """Who the token speaks for and until when; `keys` are the accepted public keys by key id.

    Whether that time is over is left to the caller, who may keep the answer: checking a signature takes longer
    than reading a report of a small model.

    Raises:
        TokenInvalid: malformed, unknown key or wrong signature.
    """
    try:
        key = keys[jwt.get_unverified_header(token)["kid"]]
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            options={"verify_exp": False, "verify_iat": False, "require": ["sub", "exp", "aud"]},
        )
        return Participant(
            client_id=str(claims["sub"]),
            task_id=str(claims["task"]),
            model=str(claims["model"]),
            device_key=from_base64url(claims["cnf"]["jwk"]["x"]) if "cnf" in claims else None,
            must_sign=bool(claims.get("must_sign", False)),
            expires_at=float(claims["exp"]),
        )
    except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
        raise TokenInvalid("not an access token of this deployment") from error


def verify(token: str, keys: Mapping[str, Ed25519PublicKey], now: datetime) -> Participant:
    """Who the token speaks for now.

    Raises:
        TokenInvalid: malformed, unknown key or wrong signature.
        TokenExpired: past its end.
    """
    participant = decode(token, keys)
    if now.timestamp() > participant.expires_at:
        raise TokenExpired("the access token has expired")
    return participant


def jwks(keys: list[Ed25519PublicKey]) -> dict[str, Any]:
    """Public keys as a JSON Web Key Set (RFC 7517, RFC 8037)."""
    return {
        "keys": [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "use": "sig",
                "alg": ALGORITHM,
                "kid": key_id(key),
                "x": _base64url(_raw(key)),
            }
            for key in keys
        ]
    }


def keys_from_jwks(document: dict[str, Any]) -> dict[str, Ed25519PublicKey]:
    """Read what `jwks` wrote: public keys by key id."""
    found = {}
    for entry in document["keys"]:
        key = Ed25519PublicKey.from_public_bytes(from_base64url(entry["x"]))
        found[key_id(key)] = key
    return found


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def from_base64url(text: str) -> bytes:
    """The bytes of base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
