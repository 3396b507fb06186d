"""The grid of the sum: as fine as the bounds allow, and never so fine that a sum overflows."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedrec_protocol import fixed_point
from fedrec_protocol.fixed_point import BoundsTooWide

LARGEST = 2**63 - 1
TOLERANCE = Fraction(1_000_001, 1_000_000)  # the server's slack on the norm


@given(st.integers(1, 2**40), st.floats(1e-6, 1e9), st.integers(1, fixed_point.MAXIMUM_REPORTS))
@settings(max_examples=300, deadline=None)
def test_no_sum_within_the_stated_bounds_overflows(weight: int, norm: float, reports: int) -> None:
    try:
        bits = fixed_point.fraction_bits(maximum_weight=weight, maximum_norm=norm, maximum_reports=reports)
    except BoundsTooWide:
        return
    assert 24 <= bits <= 40
    largest_term = Fraction(norm) * TOLERANCE * weight * 2**bits + Fraction(1, 2)
    assert largest_term * reports <= LARGEST
    assert weight * reports <= LARGEST


def test_the_metrics_of_the_largest_round_do_not_overflow() -> None:
    term = Fraction(fixed_point.MAXIMUM_METRIC_SUM) * 2**fixed_point.METRIC_FRACTION_BITS + Fraction(1, 2)
    assert term * fixed_point.MAXIMUM_REPORTS <= LARGEST


@pytest.mark.parametrize(
    ("weight", "norm", "reports", "bits"),
    [
        (1, 1.0, 4, 40),  # 62 - 2 bits would fit; 40 are plenty
        (10_000, 100.0, 40, 36),  # 10,000 x 100 x 40 = 4e7 < 2**26, 62 - 26 = 36
        (2**10, 2.0**10, 2**18, 24),  # exactly at the limit
    ],
)
def test_bits_follow_from_the_bounds(weight: int, norm: float, reports: int, bits: int) -> None:
    assert fixed_point.fraction_bits(maximum_weight=weight, maximum_norm=norm, maximum_reports=reports) == bits


@pytest.mark.parametrize(
    ("weight", "norm", "reports"),
    [
        (2**10, 2.0**10 * 1.01, 2**18),  # just beyond the limit
        (10_000, 1e308, 4),  # the product is not even a float
        (10**400, 1.0, 4),
        (2**61, 1e-12, 4),  # the values would fit, their total weight would not
        (1, float("inf"), 4),
    ],
)
def test_bounds_that_leave_too_few_bits_are_refused(weight: int, norm: float, reports: int) -> None:
    with pytest.raises(BoundsTooWide):
        fixed_point.fraction_bits(maximum_weight=weight, maximum_norm=norm, maximum_reports=reports)


@pytest.mark.parametrize(
    ("norm", "multiplier", "bits"),
    [
        (1.0, 1.0, 34),  # a deviation of 2**34 steps
        (100.0, 1.0, 27),  # 100 < 2**7
        (2.0**12, 1.0, 24),  # finer than 2**34 steps, for fewer than 24 bits would be left
        (1e-3, 1.0, 34),  # a deviation below one counts as one
    ],
)
def test_noise_spans_2_to_the_34_steps_unless_that_leaves_too_few_bits(
    norm: float, multiplier: float, bits: int
) -> None:
    found = fixed_point.fraction_bits(
        maximum_weight=1, maximum_norm=norm, maximum_reports=100, noise_multiplier=multiplier
    )
    assert found == bits


def test_noise_that_cannot_be_sampled_on_24_bits_is_refused() -> None:
    with pytest.raises(BoundsTooWide):
        fixed_point.fraction_bits(maximum_weight=1, maximum_norm=2.0**16, maximum_reports=1, noise_multiplier=1.0)
