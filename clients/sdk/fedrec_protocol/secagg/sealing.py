"""Shares on their way through the server: sealed for one holder, with digests that expose a lie."""

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fedrec_protocol.secagg.encoding import transcript
from fedrec_protocol.secagg.keys import Entropy
from fedrec_protocol.secagg.messages import DIGEST_BYTES
from fedrec_protocol.secagg.shamir import SHARE_BYTES

_NONCE_BYTES = 12


@dataclass(frozen=True)
class Route:
    """From whom to whom, in which round: what a sealed share is bound to."""

    round_id: bytes
    roster_hash: bytes
    dealer: int
    holder: int

    @property
    def bytes(self) -> bytes:
        """The additional authenticated data."""
        return transcript("fedrec-secagg-1 route", self.round_id, self.roster_hash, self.dealer, self.holder)


@dataclass(frozen=True)
class SharePair:
    """A holder's shares of one dealer's two secrets. At most one of them is ever revealed."""

    seed: bytes
    mask_key: bytes

    def digests(self, route: Route) -> bytes:
        """Digests of the two shares, which the dealer signs and the server compares with."""
        return share_digest("seed", self.seed, route) + share_digest("mask key", self.mask_key, route)


def share_digest(kind: str, share: bytes, route: Route) -> bytes:
    """Digest of one share; hides it, for a share is a uniform element of a 257-bit field."""
    return hashlib.sha256(transcript("fedrec-secagg-1 share", kind, route.bytes, share)).digest()[:DIGEST_BYTES]


def seal(shares: SharePair, key: bytes, route: Route, entropy: Entropy) -> bytes:
    """AES-256-GCM under a random nonce, which comes first."""
    nonce = entropy(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, shares.seed + shares.mask_key, route.bytes)


def unseal(sealed: bytes, key: bytes, route: Route) -> SharePair | None:
    """The shares; None when they were sealed for somebody else, elsewhere, or were changed."""
    try:
        both = AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], route.bytes)
    except InvalidTag:
        return None
    if len(both) != 2 * SHARE_BYTES:
        return None
    return SharePair(seed=both[:SHARE_BYTES], mask_key=both[SHARE_BYTES:])
