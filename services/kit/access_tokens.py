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
LEEWAY = timedelta(seconds=30)


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
    """A token that is valid for `LIFETIME` from now."""
    claims = {
        "sub": participant.client_id,
        "task": participant.task_id,
        "model": participant.model,
        "aud": AUDIENCE,
        "iat": int(now.timestamp()),
        "exp": int((now + LIFETIME).timestamp()),
    }
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
        return Participant(str(claims["sub"]), str(claims["task"]), str(claims["model"]), float(claims["exp"]))
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


def verify_assertion(assertion: str, client_id: str, public_key: bytes, now: datetime) -> None:
    """Check a device's request for a token (JWT signed with its device key).

    Raises:
        TokenInvalid: not signed by this device, for this audience, for this moment.
    """
    try:
        claims = jwt.decode(
            assertion,
            Ed25519PublicKey.from_public_bytes(public_key),
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            options={"verify_exp": False, "verify_iat": False, "require": ["iss", "sub", "iat", "exp", "aud"]},
        )
        issued, expires = float(claims["iat"]), float(claims["exp"])
    except (jwt.PyJWTError, TypeError, ValueError) as error:
        raise TokenInvalid("the assertion is not signed by this device's key") from error
    if claims["iss"] != client_id or claims["sub"] != client_id:
        raise TokenInvalid("the assertion names another client")
    leeway = LEEWAY.total_seconds()
    if not issued - leeway <= now.timestamp() <= expires + leeway or expires - issued > 300 + leeway:
        raise TokenInvalid("the assertion is not valid now: `iat` must be now and `exp` within 5 minutes")


def subject_of(assertion: str) -> str | None:
    """The client id that an assertion claims, before anything is verified."""
    try:
        claims = jwt.decode(assertion, options={"verify_signature": False})
        return str(claims["sub"])
    except (jwt.PyJWTError, KeyError):
        return None


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
        raw = base64.urlsafe_b64decode(entry["x"] + "=" * (-len(entry["x"]) % 4))
        key = Ed25519PublicKey.from_public_bytes(raw)
        found[key_id(key)] = key
    return found


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
