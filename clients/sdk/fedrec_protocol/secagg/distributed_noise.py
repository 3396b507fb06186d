"""Noise that participants add inside the mask, so that no sum exists anywhere without it."""

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.noise.random_bits import RandomBits
from fedrec_protocol.noise.skellam import skellam
from fedrec_protocol.secagg.descriptor import RoundDescriptor


def participant_variance(total_variance: int, minimum_survivors: int) -> int:
    """What each participant adds so that any sum that is released has at least the total.

    A round with fewer than U_min survivors is aborted, so the parts of U_min are always there; more survivors
    bring more noise than is charged.
    """
    return -(-total_variance // minimum_survivors)


def with_own_noise(vector: NDArray[np.int64], descriptor: RoundDescriptor, bits: RandomBits) -> NDArray[np.int64]:
    """A participant's vector with its part of the round's Skellam noise, int64, same shape.

    The value bits must leave room for it: a vector that does not fit is not masked, and that round is missed.
    """
    if descriptor.noise_variance == 0:
        return vector
    return vector + skellam(descriptor.noise_variance, len(vector), bits)
