"""The fixed-point grid on which every round is summed.

A value x of weight w becomes the integer rint(x * w * 2**fraction_bits). Integer addition is exact and
commutative, so a sum does not depend on the order, the number of replicas or retries.
"""

import math

MINIMUM_FRACTION_BITS = 24
MAXIMUM_FRACTION_BITS = 40
ACCUMULATOR_BITS = 63
"""Magnitude bits of the int64 accumulator."""
METRIC_FRACTION_BITS = 20
MAXIMUM_METRIC_SUM = 2.0**20
"""Largest sum of one metric in one report; with at most 2**20 reports a total stays below 2**60."""
MAXIMUM_REPORTS = 2**20


class BoundsTooWide(ValueError):
    """The stated bounds leave fewer than `MINIMUM_FRACTION_BITS` fraction bits."""


def fraction_bits(*, maximum_weight: int, maximum_norm: float, maximum_reports: int) -> int:
    """Fraction bits for which no sum of `maximum_reports` reports can overflow an int64.

    Every |x| is at most `maximum_norm`, so every total is at most
    maximum_weight * maximum_norm * maximum_reports * 2**bits, plus one half per rounding.

    Raises:
        BoundsTooWide: fewer than 24 bits would be left.
    """
    largest_total = maximum_weight * maximum_norm * maximum_reports
    # One bit is left for the roundings and for the tolerance on the norm check.
    bits = ACCUMULATOR_BITS - 1 - math.ceil(math.log2(max(largest_total, 1.0)))
    if bits < MINIMUM_FRACTION_BITS:
        raise BoundsTooWide(
            f"maximum_weight {maximum_weight} x maximum_norm {maximum_norm} x {maximum_reports} reports "
            f"leaves {bits} fraction bits of {ACCUMULATOR_BITS}; at least {MINIMUM_FRACTION_BITS} are "
            "needed: lower one of the three"
        )
    return min(bits, MAXIMUM_FRACTION_BITS)
