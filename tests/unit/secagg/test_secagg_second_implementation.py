"""The fast implementation against the slow one, and the slow one against published vectors."""

from typing import Any

import numpy as np
import pytest

from fedrec_protocol.secagg import keys, shamir
from fedrec_protocol.secagg.masks import Mask, apply_masks
from tests.unit.secagg import slow_secagg as slow
from tests.unit.secagg.secagg_round import Round, Stream, descriptor, grid, vector_of


def test_the_slow_x25519_gives_the_vectors_of_rfc_7748() -> None:
    scalar = bytes.fromhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
    u = bytes.fromhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
    expected = "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
    assert slow.x25519(scalar, u).hex() == expected


def test_the_slow_hkdf_gives_the_first_vector_of_rfc_5869() -> None:
    secret, salt = bytes([0x0B] * 22), bytes(range(13))
    expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
    assert slow.hkdf(secret, salt, bytes(range(0xF0, 0xFA))).hex() == expected


@pytest.mark.parametrize("word", [np.uint16, np.uint32, np.uint64])
def test_the_keystream_is_the_encryption_of_a_counter_from_zero(word: type[np.unsignedinteger[Any]]) -> None:
    key, count = bytes(range(32)), 100_001  # ends inside a block, in the second piece of scratch
    vector = np.zeros(count, word)
    apply_masks(vector, [Mask(key, is_added=True)])
    assert vector.tolist() == slow.keystream_words(key, count, vector.itemsize)


@pytest.mark.parametrize("modulus_bits", [16, 24, 32, 40, 48, 64])
def test_masked_reports_are_the_slow_implementations_byte_for_byte(modulus_bits: int) -> None:
    value_bits = min(modulus_bits - 8, 16)
    stated = descriptor(
        participants=100, grid=grid(coordinates=21, modulus_bits=modulus_bits, value_bits=value_bits, fraction_bits=5)
    )
    this = Round.of(5, stated=stated)
    this.share()
    secrets = {position: this.states[position].secrets for position in this.everybody}
    half = 2 ** (value_bits - 1)
    vectors = {p: np.random.default_rng(p).integers(-half, half, 21) for p in this.everybody}
    this.report(vectors.__getitem__)
    rid, mask_keys = this.rostered.round_id, [advert.mask_key for advert in this.rostered.adverts]
    for position, body in this.bodies.items():
        pairs = [
            (slow.pair_mask_key(secrets[position].mask_private, peer, rid), 1 if position < other else -1)
            for other, peer in enumerate(mask_keys)
            if other != position
        ]
        expected = slow.masked_report(
            vectors[position].tolist(),
            slow.own_mask_key(secrets[position].seed, rid),
            pairs,
            modulus_bits,
            stated.grid.word.itemsize,
        )
        assert body == expected
        assert this.rostered.adverts[position].seed_commitment == slow.commitment(secrets[position].seed, rid)


def test_revealed_shares_interpolate_to_the_secrets_by_the_textbook_formula() -> None:
    this = Round.of(7)
    this.share()
    secrets = {position: this.states[position].secrets for position in this.everybody}
    this.report(vector_of, without=[2])
    this.acknowledge()
    this.reveal()
    threshold = 2 * 7 // 3 + 1
    for dealer in this.everybody:
        shares = {r.holder + 1: int.from_bytes(r.shares[dealer], "big") for r in this.reveals[-threshold:]}
        secret = slow.lagrange_at_zero(shares).to_bytes(32, "big")
        assert secret == (secrets[dealer].mask_private if dealer == 2 else secrets[dealer].seed)


def test_shares_are_values_of_the_polynomial_that_the_randomness_spells() -> None:
    secret = bytes(range(32))
    shares = shamir.split(secret, [1, 2, 70_000], 4, Stream("coefficients"))
    stream = Stream("coefficients")
    leading = [int.from_bytes(stream(64), "big") % slow.SHAMIR_PRIME for _ in range(3)]
    coefficients = [int.from_bytes(secret, "big"), *reversed(leading)]
    assert {x: int.from_bytes(y, "big") for x, y in shares.items()} == {
        x: slow.polynomial(coefficients, x) for x in (1, 2, 70_000)
    }


def test_key_agreement_is_the_slow_one() -> None:
    ours, theirs = Stream("a")(32), slow.x25519_base(Stream("b")(32))
    assert keys.KeyPair(ours).agree(theirs) == slow.x25519(ours, theirs)
