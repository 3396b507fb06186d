"""What a sum of encrypted reports takes of a silo and of the server, in one process."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fedrec_protocol.encrypted.parameters import Scheme
from fedrec_protocol.encrypted.tags import TAGS, Author, SumTags
from fedrec_protocol.encrypted.words import from_bytes, reduced, to_bytes, word_count
from fedrec_sdk.silo.cipher import Cipher
from fedrec_sdk.silo.key import make_silo_key
from services.aggregator.domain.opaque_reports import OpaqueReport

_VALUE_BITS = 24


@dataclass(frozen=True)
class EncryptionCosts:
    """CPU seconds and bytes of one silo, and of the server for each silo."""

    encrypt_seconds: float
    """Encrypt, tag and pack one report."""
    decrypt_seconds: float
    """Unpack the sum, check what it is of, decrypt it."""
    upload_bytes: int
    """One report; the encrypted sum that every silo fetches has as many."""
    add_seconds: float
    """The server, for one silo's upload: read the words and add them."""
    is_exact: bool


def measure_encryption(coordinates: int, silos: int, scheme: Scheme) -> EncryptionCosts:
    """Silos share one secret key; the server has none, and adds."""
    with tempfile.TemporaryDirectory() as folder:
        key = make_silo_key(Path(folder) / "silo.key", scheme)
    cipher, tags = Cipher(key), SumTags(key.tag_key, bytes(32))
    authors = [Author(f"client {number}", "assignment") for number in range(silos)]
    drawn = np.random.default_rng(0)
    vectors = [drawn.integers(-(2 ** (_VALUE_BITS - 1)), 2 ** (_VALUE_BITS - 1), coordinates) for _ in authors]
    total = np.zeros(word_count(coordinates, scheme), np.int64)
    encrypting, adding, body = 0.0, 0.0, b""
    for author, vector in zip(authors, vectors, strict=True):
        started = time.process_time()
        words = cipher.encrypt(vector)
        body = to_bytes(np.concatenate([words, tags.tag(words, author)]))
        sent = time.process_time()
        OpaqueReport(from_bytes(body, len(total))).fold(total)
        adding += time.process_time() - sent
        encrypting += sent - started
    offered = to_bytes(reduced(total))
    started = time.process_time()
    words = from_bytes(offered, len(total))
    is_proven = tags.is_sum(words[:-TAGS], words[-TAGS:], authors)
    decrypted = cipher.decrypt(words[:-TAGS], coordinates)
    return EncryptionCosts(
        encrypt_seconds=encrypting / silos,
        decrypt_seconds=time.process_time() - started,
        upload_bytes=len(body),
        add_seconds=adding / silos,
        is_exact=is_proven and bool((decrypted == sum(vectors)).all()),
    )
