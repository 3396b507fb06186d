"""Masks: AES-256-CTR keystreams added to or subtracted from a vector, in one pass over it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from numpy.typing import NDArray

_SCRATCH_BYTES = 256 * 1024
"""Half of a core's second-level cache: keystream is added while it is still there."""
_ZEROS = bytes(_SCRATCH_BYTES)
_SLACK_BYTES = 15
"""`update_into` demands room for one more block than it writes, less a byte."""


@dataclass(frozen=True)
class Mask:
    """A keystream and the sign with which it enters a vector."""

    key: bytes
    """32 bytes, used for this one stream: the counter starts at zero."""
    is_added: bool


def apply_masks(vector: NDArray[Any], masks: Sequence[Mask]) -> None:
    """Add or subtract each mask's keystream, in place, wrapping in the vector's unsigned type.

    Coordinate i takes the i-th little-endian word of the keystream, so a modulus of 24 bits uses
    the low 24 bits of 32. The vector is walked once, in pieces that stay in cache, and every keystream
    advances beside it.
    """
    streams = [(keystream(mask.key), np.add if mask.is_added else np.subtract) for mask in masks]
    scratch = bytearray(_SCRATCH_BYTES + _SLACK_BYTES)
    words = np.frombuffer(scratch, vector.dtype, count=_SCRATCH_BYTES // vector.itemsize)
    for start in range(0, len(vector), len(words)):
        piece = vector[start : start + len(words)]
        zeros = memoryview(_ZEROS)[: piece.nbytes]
        for stream, add in streams:
            stream.update_into(zeros, scratch)
            add(piece, words[: len(piece)], out=piece)


def keystream(key: bytes) -> CipherContext:
    """AES-256-CTR with a zero initial counter; safe because every key is used for one stream only."""
    return Cipher(AES(key), CTR(bytes(16))).encryptor()
