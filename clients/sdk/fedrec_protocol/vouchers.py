"""Which vouchers an enrolment key demands: who signs them, for whom, and with which keys."""

import base64
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from fedrec_protocol.base import Message, Response

MAXIMUM_KEYS = 16
LEAST_RSA_BITS = 2048
_PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

VoucherName = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]{1,255}$")]
"""An issuer, an audience or the name of a key: printable ASCII, as it stands in the JWT."""
_Coordinate = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]


# Other members of a key, such as certificates, are passed over (RFC 7517, section 4).
class Ed25519VoucherKey(Response):
    """A public key that signs vouchers with EdDSA (RFC 8037)."""

    kty: Literal["OKP"]
    """Key type."""
    crv: Literal["Ed25519"]
    """Curve."""
    x: _Coordinate
    """32 raw bytes, base64url without padding."""
    kid: VoucherName
    """Name of the key; vouchers name it in their header."""
    use: Literal["sig"] | None = None
    """What it is for."""
    alg: Literal["EdDSA", "Ed25519"] | None = None
    """How it signs."""


class P256VoucherKey(Response):
    """A public key that signs vouchers with ES256."""

    kty: Literal["EC"]
    """Key type."""
    crv: Literal["P-256"]
    """Curve."""
    x: _Coordinate
    """First coordinate: 32 bytes, base64url without padding."""
    y: _Coordinate
    """Second coordinate, likewise."""
    kid: VoucherName
    """Name of the key; vouchers name it in their header."""
    use: Literal["sig"] | None = None
    """What it is for."""
    alg: Literal["ES256"] | None = None
    """How it signs."""


class RsaVoucherKey(Response):
    """A public key that signs vouchers with RS256."""

    kty: Literal["RSA"]
    """Key type."""
    n: str = Field(pattern=r"^[A-Za-z0-9_-]{342,1366}$")
    """Modulus of 2048 to 8192 bits, base64url without padding."""
    e: str = Field(pattern=r"^[A-Za-z0-9_-]{1,6}$")
    """Exponent, likewise; `AQAB` as a rule."""
    kid: VoucherName
    """Name of the key; vouchers name it in their header."""
    use: Literal["sig"] | None = None
    """What it is for."""
    alg: Literal["RS256"] | None = None
    """How it signs."""

    @model_validator(mode="after")
    def _is_long_enough(self) -> Self:
        modulus = base64.urlsafe_b64decode(self.n + "=" * (-len(self.n) % 4))
        if int.from_bytes(modulus).bit_length() < LEAST_RSA_BITS:
            raise ValueError(f"an RSA key needs {LEAST_RSA_BITS} bits at least")
        return self


def _require_public(key: Any) -> Any:
    if isinstance(key, dict) and (key.get("kty") == "oct" or not _PRIVATE_MEMBERS.isdisjoint(key)):
        raise ValueError(
            "a private or symmetric key: send the public half only, and make a new pair: this one was told"
        )
    return key


VoucherKey = Annotated[
    Annotated[Ed25519VoucherKey | P256VoucherKey | RsaVoucherKey, Field(discriminator="kty")],
    BeforeValidator(_require_public),
]


class VoucherKeys(Response):
    """The issuer's public keys: a JSON Web Key Set (RFC 7517)."""

    keys: tuple[VoucherKey, ...] = Field(min_length=1, max_length=MAXIMUM_KEYS)
    """Each has a `kid` of its own; several while keys are changed."""

    @model_validator(mode="after")
    def _are_told_apart(self) -> Self:
        if len({key.kid for key in self.keys}) < len(self.keys):
            raise ValueError("two keys have the same `kid`")
        return self


class Vouchers(Message):
    """What somebody must show to enrol by a key: a JWT that says which person they are.

    One person is one client of the task, whatever device they enrol.
    """

    issuer: VoucherName
    """The vouchers' `iss`. A person is known by issuer and `sub`: another issuer knows other people."""
    audience: VoucherName
    """What the vouchers' `aud` is, or holds."""
    keys: VoucherKeys
    """Whoever has one of the private keys says who is a person."""
    bound: bool
    """Whether each voucher has to name the device's key (`cnf.jkt`), so that it is of no use to whoever steals it."""
