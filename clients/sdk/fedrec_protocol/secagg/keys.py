"""Key agreement, key derivation, commitments and signatures, all from `cryptography`."""

import hashlib
from collections.abc import Callable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fedrec_protocol.secagg.encoding import transcript
from fedrec_protocol.secagg.errors import Reason, SecAggError

Entropy = Callable[[int], bytes]
"""Gives that many secret random bytes: `os.urandom`, or a fixed stream where vectors are generated."""

_PROBE = X25519PrivateKey.from_private_bytes(bytes(range(32)))


class BadKey(SecAggError):
    """A public key that agrees on the same secret with everybody, or is no key at all."""

    def __init__(self) -> None:
        super().__init__(Reason.BAD_KEY, "a low-order or malformed X25519 key")


class KeyPair:
    """An X25519 key pair, from its 32 private bytes."""

    def __init__(self, private: bytes) -> None:
        self._private = X25519PrivateKey.from_private_bytes(private)
        self.public = self._private.public_key().public_bytes_raw()

    def agree(self, peer: bytes) -> bytes:
        """The X25519 shared secret (RFC 7748).

        Raises:
            BadKey: the peer's key is not 32 bytes, or of low order.
        """
        return _exchange(self._private, peer)


def require_agreeable(peer: bytes) -> None:
    """Refuse a key of low order, without having a key of one's own.

    Raises:
        BadKey: the key is not 32 bytes, or of low order.
    """
    # A clamped scalar is a multiple of the cofactor, so any private key exposes a low-order point.
    _exchange(_PROBE, peer)


def _exchange(private: X25519PrivateKey, peer: bytes) -> bytes:
    try:
        return private.exchange(X25519PublicKey.from_public_bytes(peer))
    except ValueError as error:
        raise BadKey from error


def derive(secret: bytes, round_id: bytes, purpose: str, *context: bytes) -> bytes:
    """A 32-byte key by HKDF-SHA256, salted with the round id."""
    info = transcript(purpose, *context)
    return HKDF(hashes.SHA256(), 32, salt=round_id, info=info).derive(secret)


def seed_mask_key(seed: bytes, round_id: bytes) -> bytes:
    """Key of the mask that one participant puts on alone."""
    return derive(seed, round_id, "fedrec-secagg-1 own mask")


def pair_mask_key(pair: KeyPair, peer: bytes, round_id: bytes) -> bytes:
    """Key of the mask that two participants put on with opposite signs; the same from either side.

    Raises:
        BadKey: see `KeyPair.agree`.
    """
    ends = sorted((pair.public, peer))
    return derive(pair.agree(peer), round_id, "fedrec-secagg-1 pair mask", *ends)


def sealing_key(pair: KeyPair, peer: bytes, round_id: bytes) -> bytes:
    """Key under which two participants send shares to each other.

    Raises:
        BadKey: see `KeyPair.agree`.
    """
    ends = sorted((pair.public, peer))
    return derive(pair.agree(peer), round_id, "fedrec-secagg-1 share sealing", *ends)


def seed_commitment(seed: bytes, round_id: bytes) -> bytes:
    """What a participant publishes of its own mask's seed before sharing it."""
    return hashlib.sha256(transcript("fedrec-secagg-1 seed commitment", round_id, seed)).digest()


def verifies(public: bytes, signature: bytes, payload: bytes) -> bool:
    """Whether a signature was made over the payload by the key's owner."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, payload)
    except (InvalidSignature, ValueError):
        return False
    return True
