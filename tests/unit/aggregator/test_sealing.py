"""Sealed bytes: they come back as they were, or not at all."""

from __future__ import annotations

import secrets

import pytest

from services.aggregator.domain import sealing
from services.aggregator.domain.sealing import CHUNK_BYTES, SealBroken

KEY = bytes(range(32))
OVERHEAD = 4 + 12 + 16  # format, nonce, tag
SIZES = [1, 100, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES + 8]


def sealed(plain: bytes, name: str = "psm_1") -> list[bytes]:
    return [bytes(chunk) for chunk in sealing.seal(memoryview(plain), KEY, name)]


def opened(chunks: list[bytes], size: int, key: bytes = KEY, name: str = "psm_1") -> bytes:
    return b"".join(sealing.unseal(chunks, size, key, name))


@pytest.mark.parametrize("size", SIZES)
def test_what_was_sealed_opens_again_however_it_is_cut(size: int) -> None:
    plain = secrets.token_bytes(size)
    chunks = sealed(plain)
    assert opened(chunks, size) == plain
    whole = b"".join(chunks)
    assert len(whole) == size + OVERHEAD * len(chunks)
    for cut in (len(whole), 65_537):
        assert opened([whole[start : start + cut] for start in range(0, len(whole), cut)], size) == plain


def test_nothing_of_the_plain_bytes_is_in_the_sealed_ones() -> None:
    plain = b"fedrec known plaintext " * 1000
    whole = b"".join(sealed(plain))
    assert all(plain[start : start + 8] not in whole for start in range(23))


def test_the_same_bytes_are_never_sealed_the_same_way() -> None:
    assert sealed(b"same")[0] != sealed(b"same")[0]


TWO = sealed(bytes(2 * CHUNK_BYTES))


@pytest.mark.parametrize(
    "chunks",
    {
        "a changed byte": [TWO[0][:100] + bytes([TWO[0][100] ^ 1]) + TWO[0][101:], TWO[1]],
        "a changed nonce": [bytes([TWO[0][0] ^ 1]) + TWO[0][1:], TWO[1]],
        "another order": [TWO[1], TWO[0]],
        "a chunk missing": [TWO[0]],
        "a chunk twice": [TWO[0], TWO[0]],
        "a chunk too many": [*TWO, TWO[1]],
        "cut short": [TWO[0], TWO[1][:-1]],
        "one byte more": [*TWO, b"\x00"],
        "a stump": [b"\x00" * 5],
        "nothing": [],
    }.items(),
    ids=lambda item: item[0],
)
def test_changed_bytes_do_not_open(chunks: tuple[str, list[bytes]]) -> None:
    with pytest.raises(SealBroken):
        opened(chunks[1], 2 * CHUNK_BYTES)


def test_another_key_name_or_size_does_not_open() -> None:
    chunks = sealed(b"a sum")
    with pytest.raises(SealBroken):
        opened(chunks, 5, key=bytes(32))
    with pytest.raises(SealBroken):
        opened(chunks, 5, name="psm_2")
    with pytest.raises(SealBroken):
        opened(chunks, 5 + CHUNK_BYTES)


def test_a_round_key_is_opened_by_the_deployment_key_or_one_before_it() -> None:
    old, new, other = (secrets.token_bytes(32) for _ in range(3))
    round_key = sealing.new_round_key()
    wrapped = sealing.wrap(round_key, old, "rnd_1")
    assert round_key not in wrapped
    assert sealing.unwrap(wrapped, [new, old], "rnd_1") == round_key
    for keys, round_id in (([new, other], "rnd_1"), ([old], "rnd_2"), ([], "rnd_1")):
        with pytest.raises(SealBroken):
            sealing.unwrap(wrapped, keys, round_id)


def test_round_keys_are_random() -> None:
    assert len({sealing.new_round_key() for _ in range(10)}) == 10
