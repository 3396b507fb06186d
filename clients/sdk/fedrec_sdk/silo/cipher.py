"""Integers to ciphertexts and back, by SEAL; ciphertexts are plain arrays of words everywhere else."""

import struct
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.encrypted.parameters import (
    CIPHERTEXT_WORDS,
    DEGREE,
    LARGEST_SUM,
    SCALE,
    Scheme,
    ciphertexts,
    slots,
)
from fedrec_sdk.silo.key import SiloKey
from fedrec_sdk.silo.library import context, seal

_MAGIC, _HEADER_BYTES, _VERSION, _UNCOMPRESSED = 0xA15E, 16, (4, 3), 0
_HEADER = "<HBBBBHQ"
"""SEAL's header: magic, its own size, version, compression, reserved, size of everything."""


class NoSum(ValueError):
    """What was decrypted is not a sum of reports."""


class Cipher:
    """Encrypts and decrypts vectors under a silo key.

    Raises:
        EncryptionUnavailable, BadSiloKey: see `SiloKey.secret_key`.
    """

    def __init__(self, key: SiloKey) -> None:
        library, secret = seal(), key.secret_key()
        self._library, self._scheme, self._context = library, key.scheme, context(key.scheme)
        self._encryptor = library.Encryptor(self._context, secret)
        self._decryptor = library.Decryptor(self._context, secret)
        is_bfv = key.scheme is Scheme.BFV
        self._encoder = (library.BatchEncoder if is_bfv else library.CKKSEncoder)(self._context)

    def encrypt(self, vector: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Fresh ciphertexts of a vector, uint64, shape (ciphertexts * CIPHERTEXT_WORDS,).

        Symmetric encryption: everybody who encrypts has the secret key, and its noise is the smallest.
        """
        size = slots(self._scheme)
        words = np.empty(ciphertexts(len(vector), self._scheme) * CIPHERTEXT_WORDS, np.uint64)
        for place in range(0, len(words), CIPHERTEXT_WORDS):
            start = place // CIPHERTEXT_WORDS * size
            encrypted = self._library.Ciphertext()
            self._encryptor.encrypt_symmetric(self._encoded(vector[start : start + size]), encrypted)
            taken = (encrypted[index] for index in range(CIPHERTEXT_WORDS))
            words[place : place + CIPHERTEXT_WORDS] = np.fromiter(taken, np.uint64, CIPHERTEXT_WORDS)
        return words

    def decrypt(self, words: NDArray[np.uint64], size: int) -> NDArray[np.int64]:
        """The exact sum behind a sum of ciphertexts, int64, shape (size,).

        CKKS's error is rounded away here and leaves with nobody: from a decryption with its error, whoever knows
        the ciphertext can compute the secret key (Li and Micciancio 2021).

        Raises:
            NoSum: a value that no sum of reports has.
        """
        parts = []
        with TemporaryDirectory(prefix="fedrec-") as folder:
            path = Path(folder) / "sum"
            for place in range(0, len(words), CIPHERTEXT_WORDS):
                path.write_bytes(self._file(words[place : place + CIPHERTEXT_WORDS]))
                parts.append(self._decrypted(path))
        vector = np.concatenate(parts)[:size]
        if not np.isfinite(vector).all() or (np.abs(vector) > LARGEST_SUM).any():
            raise NoSum("the decrypted sum is larger than any sum of reports: it is another key's, or was changed")
        return vector.astype(np.int64)

    def _encoded(self, values: NDArray[np.int64]) -> Any:
        plain = self._library.Plaintext()
        if self._scheme is Scheme.BFV:
            self._encoder.encode(values.tolist(), plain)
        else:
            self._encoder.encode(values.astype(np.float64).tolist(), SCALE, plain)
        return plain

    def _decrypted(self, path: Path) -> NDArray[np.float64]:
        encrypted, plain = self._library.Ciphertext(), self._library.Plaintext()
        encrypted.load(self._context, str(path))
        self._decryptor.decrypt(encrypted, plain)
        if self._scheme is Scheme.BFV:
            return np.array(self._encoder.decode_int64(plain), np.float64)
        values: NDArray[np.float64] = np.rint(np.array(self._encoder.decode_double(plain)))
        return values

    def _file(self, words: NDArray[np.uint64]) -> bytes:
        """A ciphertext as SEAL 4 reads it from a file, which is the only way in."""
        is_ckks = self._scheme is Scheme.CKKS
        about = struct.pack(
            "<4Q?QQQdQ",
            *self._context.first_parms_id(),
            is_ckks,  # CKKS keeps polynomials transformed, BFV does not
            *(2, DEGREE, 1),  # polynomials, coefficients, primes
            SCALE if is_ckks else 1.0,
            1,  # BGV's correction factor
        )
        content = struct.pack("<Q", len(words)) + words.astype("<u8").tobytes()
        return _with_header(about + _with_header(content))


def _with_header(content: bytes) -> bytes:
    size = _HEADER_BYTES + len(content)
    return struct.pack(_HEADER, _MAGIC, _HEADER_BYTES, *_VERSION, _UNCOMPRESSED, 0, size) + content
