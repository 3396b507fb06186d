"""What a participant brings to a round, and what it demands of it."""

from collections.abc import Callable, Container
from dataclasses import dataclass
from fractions import Fraction

from fedrec_protocol.secagg.descriptor import HARD_FLOOR
from fedrec_protocol.secagg.messages import DeviceCertificate

Signer = Callable[[bytes], bytes]
"""Makes the device's Ed25519 signature over a payload; the key may live in secure hardware."""


@dataclass(frozen=True)
class Device:
    """Who is joining."""

    certificate: DeviceCertificate
    sign: Signer


@dataclass(frozen=True)
class Terms:
    """What must hold before this device answers."""

    registry_key: bytes
    """Ed25519 public key of the device registry, pinned in the app."""
    server_key: bytes
    """Ed25519 public key of the aggregator."""
    base_digest: bytes
    """SHA-256 of the weights that this device trained from."""
    minimum_survivors: int = HARD_FLOOR
    """Fewest participants among whom this device hides; the app may demand more than the task."""
    corrupt: Fraction = Fraction(1, 10)
    """Largest fraction of a ring that may collude with the operator, and as much may drop out."""
    answered: Container[bytes] = frozenset()
    """Round ids that this device ever joined."""
