"""Random words from a stream cipher that the operating system seeds."""

import os

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from numpy.typing import NDArray


class RandomBits:
    """Uniform 64-bit words: the AES-256-CTR keystream of a secret 32-byte seed.

    Tests pass a seed; everybody else takes `from_operating_system`, for noise that somebody can predict
    protects nothing.
    """

    def __init__(self, seed: bytes) -> None:
        self._stream = Cipher(AES(seed), CTR(bytes(16))).encryptor()

    @classmethod
    def from_operating_system(cls) -> "RandomBits":
        """A generator with a fresh seed."""
        return cls(os.urandom(32))

    def words(self, count: int) -> NDArray[np.uint64]:
        """The next words, uint64, shape (count,)."""
        return np.frombuffer(self._stream.update(bytes(8 * count)), np.dtype("<u8"))

    def word(self) -> int:
        """The next word."""
        return int(self.words(1)[0])
