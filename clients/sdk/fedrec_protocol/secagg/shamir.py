"""Shamir's secret sharing over the integers modulo the prime 2**256 + 297.

Shamir 1979, https://doi.org/10.1145/359168.359176. The prime is the smallest above 2**256, so every 32-byte
secret is an element; an element takes 33 bytes. Python's integers are not constant-time: the secrets are
one round's, used once, on the device that made them or after they were revealed.
"""

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache

from fedrec_protocol.secagg.keys import Entropy

PRIME = 2**256 + 297
SHARE_BYTES = 33


def split(secret: bytes, points: Iterable[int], threshold: int, entropy: Entropy) -> dict[int, bytes]:
    """Shares of a 32-byte secret at distinct points from 1; any `threshold` of them recover it."""
    # 64 bytes reduced modulo the prime are within 2**-255 of uniform.
    coefficients = [int.from_bytes(entropy(64), "big") % PRIME for _ in range(threshold - 1)]
    coefficients.append(int.from_bytes(secret, "big"))
    return {point: _evaluate(coefficients, point).to_bytes(SHARE_BYTES, "big") for point in points}


def recover(shares: Mapping[int, bytes]) -> bytes | None:
    """The secret from exactly `threshold` shares by point; None when they do not spell a 32-byte secret."""
    weights = _weights_at_zero(tuple(shares))
    total = sum(weight * int.from_bytes(share, "big") for weight, share in zip(weights, shares.values(), strict=True))
    secret = total % PRIME
    return secret.to_bytes(32, "big") if secret < 2**256 else None


def _evaluate(coefficients: list[int], point: int) -> int:
    """Horner's rule, highest coefficient first."""
    value = 0
    for coefficient in coefficients:
        value = (value * point + coefficient) % PRIME
    return value


@lru_cache(maxsize=256)
def _weights_at_zero(points: tuple[int, ...]) -> list[int]:
    """Lagrange weights: prod_j x_j / (x_i * prod_{j != i} (x_j - x_i)).

    In a complete graph every secret is recovered from the same points, so the weights are kept.
    """
    product = math.prod(points)
    denominators = [point * math.prod(other - point for other in points if other != point) % PRIME for point in points]
    return [product * inverse % PRIME for inverse in _invert_all(denominators)]


def _invert_all(values: list[int]) -> list[int]:
    """Inverses with one modular exponentiation (Montgomery's trick)."""
    prefixes = [1]
    for value in values:
        prefixes.append(prefixes[-1] * value % PRIME)
    inverse = pow(prefixes[-1], -1, PRIME)
    inverses = [0] * len(values)
    for index in reversed(range(len(values))):
        inverses[index] = inverse * prefixes[index] % PRIME
        inverse = inverse * values[index] % PRIME
    return inverses
