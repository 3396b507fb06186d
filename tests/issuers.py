"""An app's backend that vouches for people, with PyJWT."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SigningKey = Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def jkt(public_key: bytes) -> str:
    """RFC 7638: the required members in the order of their names, without spaces."""
    members = {"crv": "Ed25519", "kty": "OKP", "x": base64.urlsafe_b64encode(public_key).decode().rstrip("=")}
    digest = hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


@dataclass
class Issuer:
    """Whoever has its key says who is a person."""

    key: SigningKey = field(default_factory=Ed25519PrivateKey.generate)
    kid: str = "2026"
    issuer: str = "https://login.example"
    audience: str = "films"

    @property
    def algorithm(self) -> str:
        kinds = {Ed25519PrivateKey: "EdDSA", ec.EllipticCurvePrivateKey: "ES256", rsa.RSAPrivateKey: "RS256"}
        return next(name for kind, name in kinds.items() if isinstance(self.key, kind))

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key as identity providers publish it."""
        kind = jwt.get_algorithm_by_name(self.algorithm)
        return {
            **kind.to_jwk(self.key.public_key(), as_dict=True),
            "kid": self.kid,
            "use": "sig",
            "alg": self.algorithm,
        }

    def vouchers(self, *others: Issuer, bound: bool = False) -> dict[str, Any]:
        """What an operator tells the aggregator; `others` are further keys of this issuer."""
        keys = {"keys": [each.jwk for each in (self, *others)]}
        return {"issuer": self.issuer, "audience": self.audience, "keys": keys, "bound": bound}

    def claims(self, person: Any, now: float, **claims: Any) -> dict[str, Any]:
        own = {"iss": self.issuer, "aud": self.audience, "sub": person, "iat": int(now), "exp": int(now) + 300}
        return {name: value for name, value in (own | claims).items() if value is not None}

    def voucher(self, person: Any, now: float, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A voucher for a person; a claim that is None is left out."""
        named = {"kid": self.kid} if header is None else header
        return sign(self.claims(person, now, **claims), self.key, self.algorithm, named)


def sign(claims: dict[str, Any], key: Any, algorithm: str, header: dict[str, Any]) -> str:
    """A JWS of any claims: PyJWT's own encoder refuses those that are no use."""
    return jwt.api_jws.encode(json.dumps(claims).encode(), key, algorithm=algorithm, headers=header)
