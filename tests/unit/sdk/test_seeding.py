"""The randomness of local training, against Philox written from the paper."""

import hashlib
import struct

import pytest

from fedrec_recipes.seeding import training_generator

_MASK = 2**64 - 1


def philox4x64_10(counter: tuple[int, int, int, int], key: tuple[int, int]) -> list[int]:
    """One block: Salmon et al. 2011, section 3.3, constants of their Random123 library."""
    x, k = list(counter), list(key)
    for _ in range(10):
        left, right = 0xD2E7470EE14C6C93 * x[0], 0xCA5A826395121157 * x[2]
        x = [(right >> 64) ^ x[1] ^ k[0], right & _MASK, (left >> 64) ^ x[3] ^ k[1], left & _MASK]
        k = [(k[0] + 0x9E3779B97F4A7C15) & _MASK, (k[1] + 0xBB67AE8584CAA73B) & _MASK]
    return x


@pytest.mark.parametrize(("seed", "round_number"), [(0, 1), (0, 2), (1, 1), (2**64 - 1, 1000)])
def test_the_stream_is_philox_keyed_by_a_hash_of_seed_and_round(seed: int, round_number: int) -> None:
    digest = hashlib.sha256(b"fedrec/training/1" + struct.pack("<QQ", seed, round_number)).digest()
    low, high = struct.unpack("<QQ", digest[:16])
    expected = philox4x64_10((1, 0, 0, 0), (low, high)) + philox4x64_10((2, 0, 0, 0), (low, high))
    assert training_generator(seed, round_number).bit_generator.random_raw(8).tolist() == expected


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_has_64_bits(seed: int) -> None:
    with pytest.raises(OverflowError):
        training_generator(seed, 1)
