"""A second implementation of the arithmetic, from the papers and RFCs: pure integers, no numpy, deliberately slow.

It shares no code with `fedrec_protocol.secagg` and uses one primitive of `cryptography`, the AES block.
"""

import base64
import hashlib
import hmac
import struct
from fractions import Fraction

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

P25519 = 2**255 - 19
SHAMIR_PRIME = 2**256 + 297


def x25519(scalar: bytes, u_bytes: bytes) -> bytes:
    """RFC 7748 section 5, the Montgomery ladder."""
    k = int.from_bytes(scalar, "little")
    k = (k & ~7 & (2**255 - 1)) | 2**254
    x1 = int.from_bytes(u_bytes, "little") & (2**255 - 1)
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb, aa, bb = d * a, c * b, a * a, b * b
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P25519, x1 * (da - cb) ** 2 % P25519
        x2, z2 = aa * bb % P25519, e * (aa + 121665 * e) % P25519
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P25519 - 2, P25519) % P25519).to_bytes(32, "little")


def x25519_base(scalar: bytes) -> bytes:
    return x25519(scalar, (9).to_bytes(32, "little"))


def hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """RFC 5869 with SHA-256, one block."""
    pseudorandom_key = hmac.digest(salt, secret, "sha256")
    return hmac.digest(pseudorandom_key, info + b"\x01", "sha256")


def framed(*fields: bytes) -> bytes:
    return b"".join(len(f).to_bytes(4, "big") + f for f in fields)


def keystream_words(key: bytes, count: int, word_bytes: int) -> list[int]:
    """NIST SP 800-38A counter mode, block by block."""
    block = Cipher(AES(key), ECB()).encryptor()
    blocks = -(-count * word_bytes // 16)
    stream = b"".join(block.update(i.to_bytes(16, "big")) for i in range(blocks))
    return [int.from_bytes(stream[i * word_bytes : (i + 1) * word_bytes], "little") for i in range(count)]


def own_mask_key(seed: bytes, rid: bytes) -> bytes:
    return hkdf(seed, rid, framed(b"fedrec-secagg-1 own mask"))


def pair_mask_key(private: bytes, peer: bytes, rid: bytes) -> bytes:
    first, second = sorted([x25519_base(private), peer])
    return hkdf(x25519(private, peer), rid, framed(b"fedrec-secagg-1 pair mask", first, second))


def commitment(seed: bytes, rid: bytes) -> bytes:
    return hashlib.sha256(framed(b"fedrec-secagg-1 seed commitment", rid, seed)).digest()


def masked_report(
    vector: list[int], own_key: bytes, pair_keys: list[tuple[bytes, int]], modulus_bits: int, word_bytes: int
) -> bytes:
    """x + PRG(b) + sum of sign * PRG(s) mod 2**b, each coordinate in b / 8 little-endian bytes."""
    totals = list(vector)
    for key, sign in [(own_key, 1), *pair_keys]:
        for i, word in enumerate(keystream_words(key, len(vector), word_bytes)):
            totals[i] += sign * word
    return b"".join((total % 2**modulus_bits).to_bytes(modulus_bits // 8, "little") for total in totals)


def lagrange_at_zero(shares: dict[int, int]) -> int:
    """The textbook formula, with one modular inverse a term."""
    total = 0
    for i, y in shares.items():
        numerator = denominator = 1
        for j in shares:
            if j != i:
                numerator = numerator * -j % SHAMIR_PRIME
                denominator = denominator * (i - j) % SHAMIR_PRIME
        total += y * numerator * pow(denominator, SHAMIR_PRIME - 2, SHAMIR_PRIME)
    return total % SHAMIR_PRIME


def polynomial(coefficients: list[int], x: int) -> int:
    """Constant term first."""
    return sum(c * pow(x, power, SHAMIR_PRIME) for power, c in enumerate(coefficients)) % SHAMIR_PRIME


def from_base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def transcript(label: str, *fields: bytes | str | float | None) -> bytes:
    """As the README of the vectors spells fields."""
    return framed(label.encode(), *(_spelt(field) for field in fields))


def _spelt(field: bytes | str | float | None) -> bytes:
    if field is None:
        return b""
    if isinstance(field, bytes):
        return field
    if isinstance(field, str):
        return field.encode()
    return struct.pack(">d", field) if isinstance(field, float) else struct.pack(">q", field)


def sealing_key(private: bytes, peer: bytes, rid: bytes) -> bytes:
    first, second = sorted([x25519_base(private), peer])
    return hkdf(x25519(private, peer), rid, framed(b"fedrec-secagg-1 share sealing", first, second))


def ring_order(roster_hash: bytes, size: int) -> list[int]:
    draws = [hashlib.sha256(transcript("fedrec-secagg-1 ring", roster_hash, place)).digest() for place in range(size)]
    return [place for _, place in sorted(zip(draws, range(size), strict=True))]


def positions_of(bitmap: bytes, size: int) -> list[int]:
    return [place for place in range(size) if bitmap[place // 8] >> place % 8 & 1]


def steps_of(update: list[float], weight: int, fraction_bits: int) -> list[int]:
    """Rounded half to even, as Python's `round` does; of an update within the bound."""
    return [round(Fraction(value) * weight * Fraction(2) ** fraction_bits) for value in update]


def limbs_of(value: int, bits: int, value_bits: int) -> list[int]:
    """Limbs of q - 1 bits, the lowest first; the top one has the sign."""
    count = -(-bits // (value_bits - 1))
    base = 2 ** (value_bits - 1)
    lower = [value // base**place % base for place in range(count - 1)]
    return [*lower, value // base ** (count - 1)]
