"""Where the randomness of local training comes from, so that a run can be repeated bit for bit.

The device and the simulator call this function, and nothing else, for training.
"""

import hashlib

import numpy as np

SEED_BYTES = 8
"""A participant's seed is an unsigned 64-bit integer."""

_PURPOSE = b"fedrec/training/1"


def training_generator(seed: int, round_number: int) -> np.random.Generator:
    """The generator for one participant's local training in one round.

    Philox4x64-10 (Salmon et al. 2011, https://doi.org/10.1145/2063384.2063405), first block of counter 1, and the
    128-bit key SHA-256("fedrec/training/1" || seed || round_number)[:16], where both numbers are
    unsigned 64-bit little-endian, and the key is read as little-endian. Hashing makes the streams of
    neighbouring seeds and rounds independent, so that seeds may be 0, 1, 2, ...

    Args:
        seed: The participant's seed, from 0 to 2**64 - 1.
        round_number: Number of the round in its task.

    Raises:
        OverflowError: a number that does not fit in 64 bits.
    """
    message = _PURPOSE + seed.to_bytes(SEED_BYTES, "little") + round_number.to_bytes(8, "little")
    key = int.from_bytes(hashlib.sha256(message).digest()[:16], "little")
    return np.random.Generator(np.random.Philox(key=key))
