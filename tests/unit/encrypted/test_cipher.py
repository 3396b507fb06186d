"""Ciphertexts of integers: their sum decrypts to the integers' sum, exactly, at every bound."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from fedrec_protocol.encrypted import parameters
from fedrec_protocol.encrypted.parameters import CIPHERTEXT_WORDS, LARGEST_SUM, MODULUS, Scheme
from fedrec_protocol.encrypted.words import reduced

pytest.importorskip("tenseal", reason="homomorphic encryption needs pip install 'fedrec-sdk[ckks]'")

from fedrec_sdk.silo.cipher import Cipher, NoSum
from fedrec_sdk.silo.key import BadSiloKey, SiloKey, make_silo_key, read_silo_key
from fedrec_sdk.silo.library import EncryptionUnavailable


@pytest.fixture(params=list(Scheme))
def key(request: pytest.FixtureRequest, tmp_path: Path) -> SiloKey:
    return make_silo_key(tmp_path / "silo.key", request.param)


@pytest.mark.parametrize(("silos", "value_bits"), [(2, 30), (128, 24), (1023, 21)])
def test_the_sum_of_the_largest_values_is_exact(key: SiloKey, silos: int, value_bits: int) -> None:
    """One ciphertext so many times over: its noise adds up faster than that of as many fresh ones."""
    cipher, most = Cipher(key), 2 ** (value_bits - 1)
    assert silos * most <= LARGEST_SUM
    vector = np.array([most - 1, -most, 1, -1, 0] * 1000, np.int64)
    words = np.array([int(word) * silos % MODULUS for word in cipher.encrypt(vector)], np.uint64)
    assert (cipher.decrypt(words, len(vector)) == silos * vector).all()


def test_the_sum_of_several_ciphertexts_is_the_sum_of_their_integers(key: SiloKey) -> None:
    cipher = Cipher(key)
    vectors = np.random.default_rng(0).integers(-(2**23), 2**23, (10, 100))
    total = np.zeros(CIPHERTEXT_WORDS, np.int64)
    for vector in vectors:
        total += cipher.encrypt(vector).view(np.int64)
    assert (cipher.decrypt(reduced(total), 100) == vectors.sum(axis=0)).all()


def test_a_vector_longer_than_a_ciphertext_comes_back(key: SiloKey) -> None:
    cipher, vector = Cipher(key), np.arange(-5000, 5001)
    assert (cipher.decrypt(cipher.encrypt(vector), len(vector)) == vector).all()


def test_two_ciphertexts_of_one_vector_share_no_word(key: SiloKey) -> None:
    cipher, vector = Cipher(key), np.ones(10, np.int64)
    assert (cipher.encrypt(vector) == cipher.encrypt(vector)).mean() < 0.01


def test_words_of_a_ciphertext_are_uniform_below_the_modulus(key: SiloKey) -> None:
    words = Cipher(key).encrypt(np.full(8, 2**20))
    counts = np.histogram(words, bins=16, range=(0, MODULUS))[0]
    expected = len(words) / 16
    assert ((counts - expected) ** 2 / expected).sum() < 50  # chi-square with 15 degrees: beyond 50 once in 100,000


def test_another_key_decrypts_to_no_sum(key: SiloKey, tmp_path: Path) -> None:
    other = make_silo_key(tmp_path / "other", key.scheme)
    assert other.fingerprint != key.fingerprint
    with pytest.raises(NoSum):
        Cipher(other).decrypt(Cipher(key).encrypt(np.ones(100, np.int64)), 100)


def test_the_modulus_and_the_plain_modulus_are_primes_that_are_1_modulo_2n() -> None:
    for prime in (MODULUS, parameters.PLAIN_MODULUS):
        assert prime % (2 * parameters.DEGREE) == 1
        assert all(pow(base, prime - 1, prime) == 1 for base in (2, 3, 5, 7, 11))  # Fermat's test
    assert parameters.MAXIMUM_REPORTS * (MODULUS - 1) < 2**64
    assert LARGEST_SUM < parameters.PLAIN_MODULUS / 2
    assert LARGEST_SUM * parameters.SCALE < MODULUS / 2


def test_a_key_file_is_its_owners_and_is_never_overwritten(key: SiloKey, tmp_path: Path) -> None:
    path = tmp_path / "silo.key"
    assert read_silo_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        make_silo_key(path)
    assert "content" not in repr(key)


@pytest.mark.parametrize("content", [b"", b"fedrec silo key 1\n", b"fedrec silo key 1\nrsa\nabc", b"\x5e\xa1" * 100])
def test_a_file_that_is_no_key_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "silo.key"
    path.write_bytes(content)
    with pytest.raises(BadSiloKey, match="not a silo key"):
        read_silo_key(path)
    with pytest.raises(BadSiloKey, match="cannot be read"):
        read_silo_key(tmp_path / "nothing")


def test_a_damaged_key_is_refused(key: SiloKey) -> None:
    with pytest.raises(BadSiloKey, match="damaged"):
        SiloKey(key.scheme, key.content[:-100]).secret_key()


def test_without_tenseal_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "tenseal.sealapi", None)
    with pytest.raises(EncryptionUnavailable, match=r"pip install 'fedrec-sdk\[ckks\]'"):
        make_silo_key(tmp_path / "silo.key")
