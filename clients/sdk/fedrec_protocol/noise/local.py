"""Local privacy: a participant's own noise, enough to protect its report from everybody."""

import math

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.noise.discrete_gaussian import discrete_gaussian
from fedrec_protocol.noise.random_bits import RandomBits


def locally_private(
    vector: NDArray[np.int64], *, bound_steps: int, noise_multiplier: float, bits: RandomBits
) -> NDArray[np.int64]:
    """A report that hides which of all possible reports it is.

    Any vector of norm up to `bound_steps` may have been meant, and two of them lie up to twice that apart: the
    noise's standard deviation is noise_multiplier * 2 * bound_steps. A sum of n such reports carries sqrt(n)
    times that, where central noise would be added once: for 1,000 reports 60 times as much.

    Args:
        vector: In grid steps, norm at most `bound_steps`, shape (d,).
        bound_steps: The L2 bound.
        noise_multiplier: In units of twice the bound, as `GaussianRelease` charges it.
        bits: Where randomness comes from.

    Returns:
        int64, shape (d,).
    """
    variance = local_variance(bound_steps, noise_multiplier)
    return vector + discrete_gaussian(variance, len(vector), bits)


def local_variance(bound_steps: int, noise_multiplier: float) -> int:
    """Variance of the noise on one report, in squared grid steps."""
    return math.ceil((noise_multiplier * 2 * bound_steps) ** 2)


def local_bound_steps(maximum_norm: float, scale: float, coordinates: int) -> int:
    """L2 bound on one report's integers: the norm, and half a step of rounding in every coordinate."""
    return math.ceil(maximum_norm * scale + math.sqrt(coordinates) / 2)
