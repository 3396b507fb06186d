"""The discrete Gaussian, sampled exactly and a million at a time.

Canonne, Kamath and Steinke 2020, algorithm 3, https://arxiv.org/abs/2004.00010: propose from a discrete Laplace
distribution, accept with probability exp(-gamma). Floating-point arithmetic settles the comparisons that it can
settle beyond doubt; the few others are settled by exact arithmetic on more random bits. So the
samples have the exact distribution, at the price of floating-point ones.
"""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.noise.lazy_uniform import LazyUniform
from fedrec_protocol.noise.random_bits import RandomBits

_BATCH = 1 << 16
_DOUBT = 2.0**-36
"""Relative error that is granted to floating-point exponentials; theirs is below 2**-45."""
MAXIMUM_VARIANCE = 2**80
"""Above it, a sample could leave the 53 bits in which proposals are computed."""


def discrete_gaussian(variance: int, count: int, bits: RandomBits) -> NDArray[np.int64]:
    """Independent integers x with probability proportional to exp(-x**2 / (2 * variance)).

    Args:
        variance: The squared scale, an integer from 1.
        count: How many.
        bits: Where randomness comes from.

    Returns:
        int64, shape (count,).

    Raises:
        ValueError: a variance outside 1 to 2**80.
    """
    if not 1 <= variance <= MAXIMUM_VARIANCE:
        raise ValueError(f"variance {variance} outside 1 to 2**80")
    batches: list[NDArray[np.int64]] = []
    missing = count
    while missing > 0:
        # About 0.76 of the proposals are accepted; a batch never exceeds what stays in cache.
        batches.append(_propose_and_accept(variance, min(_BATCH, int(missing * 1.4) + 16), bits)[:missing])
        missing -= len(batches[-1])
    return np.concatenate(batches) if batches else np.zeros(0, np.int64)


def _propose_and_accept(variance: int, size: int, bits: RandomBits) -> NDArray[np.int64]:
    scale = math.isqrt(variance) + 1
    magnitudes = _discrete_laplace_magnitudes(scale, bits.words(size), bits)
    is_negative = (bits.words(-(-size // 64)).view(np.uint8)[:, None] >> np.arange(8, dtype=np.uint8) & 1).astype(bool)
    is_negative = is_negative.reshape(-1)[:size]
    # Zero has one sign only, or it would come twice as often as it should.
    is_proposed = ~(is_negative & (magnitudes == 0))

    def gamma(index: int) -> Fraction:
        return Fraction((int(magnitudes[index]) * scale - variance) ** 2, 2 * variance * scale * scale)

    approximate = (magnitudes - variance / scale) ** 2 / (2 * variance)
    is_accepted = _are_below_exp(bits.words(size), approximate, gamma, bits) & is_proposed
    accepted: NDArray[np.int64] = np.where(is_negative, -magnitudes, magnitudes)[is_accepted]
    return accepted


def _discrete_laplace_magnitudes(scale: int, words: NDArray[np.uint64], bits: RandomBits) -> NDArray[np.int64]:
    """floor(-scale * ln U): at least k with probability exp(-k / scale)."""
    middles = (words.astype(np.float64) + 0.5) * 2.0**-64
    values = -scale * np.log(middles)
    magnitudes: NDArray[np.int64] = np.floor(values).astype(np.int64)
    # The bits that are not drawn yet move the logarithm by up to 2**-65 / U, twice that where U is small.
    doubt = scale * (2.0**-64 / middles) + (values + scale) * _DOUBT * 2.0**-12
    for index in np.flatnonzero(np.abs(values - np.rint(values)) <= doubt).tolist():
        uniform = LazyUniform(int(words[index]), bits.word)
        magnitudes[index] = _settle(uniform, scale, int(magnitudes[index]))
    return magnitudes


def _settle(uniform: LazyUniform, scale: int, magnitude: int) -> int:
    """The k with exp(-(k + 1) / scale) <= U < exp(-k / scale), from a guess nearby."""
    while uniform.is_below_exp(Fraction(magnitude + 1, scale)):
        magnitude += 1
    while not uniform.is_below_exp(Fraction(magnitude, scale)):
        magnitude -= 1
    return magnitude


def _are_below_exp(
    words: NDArray[np.uint64], approximate: NDArray[np.float64], gamma: Callable[[int], Fraction], bits: RandomBits
) -> NDArray[np.bool_]:
    """For each first word of a uniform real number, whether the number lies below exp(-gamma(index))."""
    uniforms, limits = words.astype(np.float64), np.exp(-approximate) * 2.0**64
    are_below = uniforms + 1 < limits * (1 - _DOUBT)
    in_doubt = ~are_below & (uniforms <= limits * (1 + _DOUBT))
    for index in np.flatnonzero(in_doubt).tolist():
        are_below[index] = LazyUniform(int(words[index]), bits.word).is_below_exp(gamma(index))
    return are_below
