"""A short name of a device's key, the same for whoever computes it."""

import base64
import hashlib


def thumbprint(public_key: bytes) -> str:
    """The JWK thumbprint (RFC 7638) of an Ed25519 public key (RFC 8037): SHA-256, 43 characters of base64url.

    Args:
        public_key: 32 raw bytes.
    """
    members = f'{{"crv":"Ed25519","kty":"OKP","x":"{_base64url(public_key)}"}}'
    return _base64url(hashlib.sha256(members.encode()).digest())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
