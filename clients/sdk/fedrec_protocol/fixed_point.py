"""The fixed-point grid on which every round is summed.

A value x of weight w becomes the integer rint(x * w * 2**fraction_bits). Integer addition is exact and
commutative, so a sum does not depend on the order, the number of replicas or retries.
"""

import math
from fractions import Fraction

MINIMUM_FRACTION_BITS = 24
MAXIMUM_FRACTION_BITS = 40
ACCUMULATOR_BITS = 63
"""Magnitude bits of the int64 accumulator."""
METRIC_FRACTION_BITS = 20
MAXIMUM_METRIC_SUM = 2.0**20
"""Largest sum of one metric in one report; with at most 2**20 reports a total stays below 2**60."""
MAXIMUM_REPORTS = 2**20
MAXIMUM_NOISE_BITS = 39
"""A deviation of more than 2**39 grid steps is not sampled exactly."""
USUAL_NOISE_BITS = 34
"""Finer noise tells nobody more, and above this its exact sampling takes several times as long."""


class BoundsTooWide(ValueError):
    """The stated bounds leave fewer than `MINIMUM_FRACTION_BITS` fraction bits."""


def fraction_bits(
    *, maximum_weight: int, maximum_norm: float, maximum_reports: int, noise_multiplier: float = 0.0
) -> int:
    """Fraction bits for which no sum of `maximum_reports` reports can overflow an int64.

    Every |x| is at most `maximum_norm`, so every total is at most
    maximum_weight * maximum_norm * maximum_reports * 2**bits, plus one half per rounding. The total weight,
    which is summed as it is, fits too. So does noise of up to 16 standard deviations, whose deviation is
    2**USUAL_NOISE_BITS grid steps, or as many more as `MINIMUM_FRACTION_BITS` take, up to 2**MAXIMUM_NOISE_BITS.

    Raises:
        BoundsTooWide: fewer than 24 bits would be left.
    """
    if not math.isfinite(maximum_norm):
        raise BoundsTooWide(f"maximum_norm {maximum_norm} is no bound")
    largest_weight = maximum_weight * maximum_reports
    deviation = Fraction(maximum_norm) * Fraction(noise_multiplier)
    largest_total = math.ceil(Fraction(maximum_norm) * largest_weight + 16 * deviation)
    # One bit is left for the roundings and for the tolerance on the norm check.
    available = ACCUMULATOR_BITS - 1
    bits = available - (max(largest_total, 1) - 1).bit_length()
    if deviation:
        exponent = (max(math.ceil(deviation), 1) - 1).bit_length()
        least = min(MINIMUM_FRACTION_BITS, MAXIMUM_NOISE_BITS - exponent)
        bits = min(bits, max(USUAL_NOISE_BITS - exponent, least))
    if bits < MINIMUM_FRACTION_BITS or largest_weight.bit_length() > available:
        raise BoundsTooWide(
            f"maximum_weight {maximum_weight} x maximum_norm {maximum_norm} x {maximum_reports} reports "
            f"leaves fewer than {MINIMUM_FRACTION_BITS} fraction bits of {ACCUMULATOR_BITS}: lower one of the three"
        )
    return min(bits, MAXIMUM_FRACTION_BITS)
