"""Tags by which silos know what an encrypted sum is a sum of, although the server put it together.

Whoever can have ciphertexts decrypted at will can have single reports decrypted. So every report carries a
homomorphic authentication code (Agrawal and Boneh 2009, "Homomorphic MACs") under a key that the server does not
have: tag = R c + p modulo q, with a secret matrix R of the round and a secret one-time pad p of the silo. Tags add up
as ciphertexts do. A sum with tag T is of one report of each of some silos exactly if T = R c + (the sum of their pads);
anything else passes with a probability of 2**-63.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from fedrec_protocol.encrypted.parameters import MODULUS
from fedrec_protocol.secagg.masks import keystream

TAGS = 7
"""Words behind the ciphertexts: each lets a false sum pass with a probability of 2**-9."""
_FACTOR_BITS = 9
"""A word of 54 bits times a factor of 9 stays below 2**63."""
_PAD_BYTES = 16
"""Reduced modulo q: within 2**-74 of uniform."""
_PIECE = 1 << 18


@dataclass(frozen=True)
class Author:
    """One silo's report in one round."""

    client_id: str
    assignment_id: str


@dataclass(frozen=True)
class SumTags:
    """Makes and checks the tags of one round.

    Attributes:
        key: 32 bytes that all silos have, and nobody else.
        context: What the round is: one of another task, number or base version has other tags.
    """

    key: bytes
    context: bytes

    def tag(self, words: NDArray[np.uint64], author: Author) -> NDArray[np.uint64]:
        """The tags of a silo's ciphertexts, shape (TAGS,)."""
        return (self._product(words) + self._pads([author])) % np.uint64(MODULUS)

    def is_sum(self, words: NDArray[np.uint64], tags: NDArray[np.uint64], authors: Collection[Author]) -> bool:
        """Whether these ciphertexts are the sum of one report of each of these authors, all different."""
        if len({author.client_id for author in authors}) < len(authors):
            return False
        expected = (self._product(words) + self._pads(authors)) % np.uint64(MODULUS)
        return bool((expected == tags).all())

    def _product(self, words: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """R c modulo q: the factors are drawn as they are needed, 2 bytes each."""
        totals = np.zeros(TAGS, np.uint64)
        streams = [keystream(self._derive(b"factors %d" % row)) for row in range(TAGS)]
        for start in range(0, len(words), _PIECE):
            piece = words[start : start + _PIECE]
            for row, stream in enumerate(streams):
                factors = np.frombuffer(stream.update(bytes(2 * len(piece))), "<u2") & ((1 << _FACTOR_BITS) - 1)
                products = piece * factors.astype(np.uint64) % np.uint64(MODULUS)
                # Products below 2**54: a thousand of them add up below 2**64.
                parts = np.add.reduceat(products, np.arange(0, len(products), 1000)) % np.uint64(MODULUS)
                totals[row] = (int(totals[row]) + sum(parts.tolist())) % MODULUS
        return totals

    def _pads(self, authors: Collection[Author]) -> NDArray[np.uint64]:
        totals = [0] * TAGS
        for author in authors:
            info = b"pad " + _framed(author.client_id, author.assignment_id)
            stream = keystream(self._derive(info)).update(bytes(TAGS * _PAD_BYTES))
            for row in range(TAGS):
                pad = int.from_bytes(stream[row * _PAD_BYTES : (row + 1) * _PAD_BYTES], "little")
                totals[row] = (totals[row] + pad) % MODULUS
        return np.array(totals, np.uint64)

    def _derive(self, info: bytes) -> bytes:
        return HKDF(SHA256(), 32, salt=self.context, info=b"fedrec sum tags " + info).derive(self.key)


def round_context(*, task_id: str, round_number: int, kind: str, base_digest: str, manifest_digest: str) -> bytes:
    """What silos must agree on before their reports are added: 32 bytes."""
    return hashlib.sha256(_framed(task_id, str(round_number), kind, base_digest, manifest_digest)).digest()


def _framed(*parts: str) -> bytes:
    """Texts one after the other, each with its length, so that no two lists give the same bytes."""
    encoded = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
