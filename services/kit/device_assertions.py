"""What a device signs with its own key to get a token, or to replace that key: EdDSA JWTs."""

from datetime import datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.kit.access_tokens import ALGORITHM, AUDIENCE, TokenInvalid, from_base64url

KEY_CHANGE_AUDIENCE = "fedrec device key"
"""Not that of tokens: neither assertion can be used in the place of the other."""
LEEWAY_SECONDS = 30
LONGEST_SECONDS = 300


def verify_assertion(assertion: str, client_id: str, public_key: bytes, now: datetime) -> None:
    """Check a device's request for a token.

    Raises:
        TokenInvalid: not signed by this device, for this audience, for this moment.
    """
    _verified(assertion, client_id, public_key, AUDIENCE, now)


def verify_key_change(assertion: str, client_id: str, public_key: bytes, now: datetime) -> bytes:
    """Check a device's wish for another key; returns that key, 32 bytes.

    The device signs the same wish with the key that it has, and with the one that it wants: so nobody is given a
    key that is not theirs.

    Raises:
        TokenInvalid: not signed with this key, for this audience, for this moment; or it names no key.
    """
    claims = _verified(assertion, client_id, public_key, KEY_CHANGE_AUDIENCE, now)
    return _key_named(claims)


def subject_of(assertion: str) -> str | None:
    """The client id that an assertion claims, before anything is verified."""
    try:
        client_id = str(_unverified(assertion)["sub"])
    except (jwt.PyJWTError, KeyError):
        return None
    return client_id if client_id.isprintable() else None  # a database takes no NUL in a text


def key_named_in(assertion: str) -> bytes:
    """The key that a wish for another key names, before anything is verified.

    Raises:
        TokenInvalid: it names none.
    """
    try:
        return _key_named(_unverified(assertion))
    except jwt.PyJWTError as error:
        raise TokenInvalid("the assertion is malformed") from error


def _key_named(claims: dict[str, Any]) -> bytes:
    try:
        key = from_base64url(claims["new_key"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TokenInvalid("`new_key` is no Ed25519 key: 32 bytes, base64url without padding") from error
    if len(key) != 32:
        raise TokenInvalid("`new_key` is no Ed25519 key: 32 bytes, base64url without padding")
    return key


def _unverified(assertion: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(assertion, options={"verify_signature": False})
    return claims


def _verified(assertion: str, client_id: str, public_key: bytes, audience: str, now: datetime) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(
            assertion,
            Ed25519PublicKey.from_public_bytes(public_key),
            algorithms=[ALGORITHM],
            audience=audience,
            options={"verify_exp": False, "verify_iat": False, "require": ["iss", "sub", "iat", "exp", "aud"]},
        )
        issued, expires = float(claims["iat"]), float(claims["exp"])
    except (jwt.PyJWTError, TypeError, ValueError, OverflowError) as error:
        raise TokenInvalid("the assertion is not signed by this device's key") from error
    if claims["iss"] != client_id or claims["sub"] != client_id:
        raise TokenInvalid("the assertion names another client")
    is_now = issued - LEEWAY_SECONDS <= now.timestamp() <= expires + LEEWAY_SECONDS
    if not is_now or expires - issued > LONGEST_SECONDS + LEEWAY_SECONDS:
        raise TokenInvalid("the assertion is not valid now: `iat` must be now and `exp` within 5 minutes")
    return claims
