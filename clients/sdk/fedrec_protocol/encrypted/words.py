"""An encrypted vector: the ciphertexts' words modulo q, and behind them the tags that prove what a sum is of."""

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.encrypted.parameters import CIPHERTEXT_WORDS, MODULUS, WORD_BYTES, Scheme, ciphertexts
from fedrec_protocol.encrypted.tags import TAGS

Words = NDArray[np.uint64]


class Malformed(ValueError):
    """Not an encrypted vector of this round."""


def word_count(coordinates: int, scheme: Scheme) -> int:
    """Words of an encrypted vector with its tags."""
    return ciphertexts(coordinates, scheme) * CIPHERTEXT_WORDS + TAGS


def to_bytes(words: Words) -> bytes:
    """Words below q, seven little-endian bytes each."""
    octets = words.astype("<u8", copy=False).view(np.uint8).reshape(len(words), 8)
    return np.ascontiguousarray(octets[:, :WORD_BYTES]).tobytes()


def from_bytes(body: bytes | bytearray | memoryview, count: int) -> Words:
    """The words of a body, shape (count,).

    Raises:
        Malformed: a body of another length, or a word that is not below q.
    """
    if len(body) != count * WORD_BYTES:
        raise Malformed(f"{len(body)} bytes for {count} words of {WORD_BYTES}")
    padded = np.zeros((count, 8), np.uint8)
    padded[:, :WORD_BYTES] = np.frombuffer(body, np.uint8).reshape(count, WORD_BYTES)
    words = padded.view("<u8").reshape(count)
    if (words >= MODULUS).any():
        raise Malformed(f"a word is not below {MODULUS}: this is no ciphertext")
    return words


def reduced(total: NDArray[np.int64]) -> Words:
    """A sum modulo 2**64 of at most `MAXIMUM_REPORTS` encrypted vectors, as words modulo q."""
    return total.view(np.uint64) % np.uint64(MODULUS)
