"""The bound on a report's length, against exact arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fedrec_sdk.clipping import clip_report, l2_norm


def test_a_3_4_5_triangle_is_scaled_to_the_bound() -> None:
    clipped = clip_report({"a": np.array([3.0], np.float32), "b": np.array([[4.0]], np.float32)}, maximum_norm=1.0)
    assert clipped["a"].tolist() == pytest.approx([0.6], rel=1e-6)
    assert clipped["b"].tolist() == [[pytest.approx(0.8, rel=1e-6)]]
    assert clipped["b"].dtype == np.float32


def test_an_update_within_the_bound_is_left_alone() -> None:
    update = {"a": np.array([3.0, 4.0], np.float32)}
    assert clip_report(update, maximum_norm=5.0)["a"] is update["a"]


@given(
    arrays(np.float32, st.integers(1, 40), elements=st.floats(-1e6, 1e6, width=32)),
    st.floats(1e-3, 1e3),
)
def test_no_rounding_leaves_a_report_above_the_bound(values: np.ndarray, maximum_norm: float) -> None:
    clipped = clip_report({"x": values}, maximum_norm)["x"]
    exact = sum((Fraction(float(value)) ** 2 for value in clipped), Fraction(0))
    # Exactly, up to the rounding of the bound's own square.
    assert exact <= Fraction(maximum_norm) ** 2 * (1 + Fraction(1, 2**50))


def test_small_elements_are_not_lost_beside_a_large_one() -> None:
    values = np.full(1_000_001, 0.125, np.float32)  # each square is 2**-6: a float32 sum of 10**8 ignores it
    values[0] = 10_000.0
    assert l2_norm({"x": values}) == (10**8 + 10**6 / 64) ** 0.5
