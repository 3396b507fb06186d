"""The ring that all ciphertexts live in, and what fits in a sum of them.

A ciphertext is two polynomials of degree below 4,096 with coefficients modulo one prime q of 54 bits: 8,192 words.
Ciphertexts are added coefficient by coefficient modulo q, so their sum is a sum of integer vectors like any other.
With no multiplications there are no other primes: the tables of the HomomorphicEncryption.org standard (2018) allow
58 bits at this degree for 256 bits of classical security.
"""

from enum import StrEnum

DEGREE = 4096
"""N: coefficients of a polynomial."""
MODULUS = 18_014_398_509_309_953
"""q: the largest prime of 54 bits that is 1 modulo 2 N and that SEAL chooses at this degree."""
PLAIN_MODULUS = 4_294_828_033
"""t of BFV: a prime of 32 bits that is 1 modulo 2 N, so that a plaintext has N slots."""
SCALE = 2.0**22
"""What CKKS multiplies a slot with. Times the largest sum it stays below q / 2; the error stays far below 1/2."""
CIPHERTEXT_WORDS = 2 * DEGREE
"""Coefficients of one ciphertext."""
WORD_BYTES = 7
"""A word modulo q on the wire, little-endian."""
LARGEST_SUM = 2**30
"""Largest magnitude of a coordinate of the sum: below t / 2, and below q / (2 * SCALE)."""
MAXIMUM_REPORTS = 1023
"""Words below 2**54 that can be added up below 2**64, before they are reduced modulo q."""
PARAMETERS = f"degree {DEGREE}, modulus {MODULUS}, plain modulus {PLAIN_MODULUS}, scale {SCALE:g}"
"""All of it in words; a key's fingerprint covers it."""


class Scheme(StrEnum):
    """How a vector of integers becomes ciphertexts. Either way the sum comes back as exact integers."""

    CKKS = "ckks"  # Cheon, Kim, Kim and Song 2017: real numbers with a small error, which rounding takes away
    BFV = "bfv"  # Fan and Vercauteren 2012: integers; half the bytes of CKKS


def slots(scheme: Scheme) -> int:
    """Coordinates in one ciphertext: N integers in BFV, N / 2 real numbers in CKKS."""
    return DEGREE if scheme is Scheme.BFV else DEGREE // 2


def ciphertexts(coordinates: int, scheme: Scheme) -> int:
    """How many it takes for a vector."""
    return -(-coordinates // slots(scheme))
