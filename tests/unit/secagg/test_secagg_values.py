"""From a report to q-bit integers and back: bounds, rounding, limbs, packing."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fedrec_protocol.secagg.descriptor import Ring
from fedrec_protocol.secagg.errors import Rejected
from fedrec_protocol.secagg.grid import Grid, largest_fraction_bits, to_signed
from fedrec_protocol.secagg.layout import Layout, Scalar
from fedrec_protocol.secagg.packing import pack, unpack
from fedrec_protocol.secagg.quantise import (
    ReportValues,
    SummedReports,
    dequantise_scalars,
    quantise,
    report_layout,
    to_real,
)
from fedrec_protocol.secagg.ring_parameters import ring_parameters
from tests.unit.secagg.secagg_round import descriptor, grid

TENTH = Fraction(1, 10)


@pytest.mark.parametrize(("participants", "expected"), [(100, (32, 22)), (1000, (96, 67))])
def test_the_finder_gives_the_designs_degrees_and_thresholds(participants: int, expected: tuple[int, int]) -> None:
    ring = ring_parameters(participants, corrupt=TENTH, dropouts=TENTH)
    assert (ring.degree, ring.threshold) == expected


def test_the_finder_refuses_what_no_ring_can_stand() -> None:
    with pytest.raises(ValueError, match="no ring"):
        ring_parameters(100, corrupt=Fraction(1, 2), dropouts=Fraction(1, 2))


def test_a_ring_whose_halves_could_each_recover_a_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="above half"):
        Ring(degree=96, threshold=48)


@pytest.mark.parametrize(("participants", "fits"), [(127, True), (128, False)])
def test_24_bits_hold_the_sum_of_127_vectors_of_17_bits_and_no_more(participants: int, fits: bool) -> None:
    # N_max * 2**(q-1) < 2**(b-1): 127 * 2**16 = 8323072 < 2**23 = 8388608 = 128 * 2**16.
    stated = grid(value_bits=17)
    if fits:
        stated.require_room_for(participants)
    else:
        with pytest.raises(ValueError, match="overflow"):
            stated.require_room_for(participants)


def test_a_descriptor_that_could_overflow_is_refused() -> None:
    with pytest.raises(ValueError, match="overflow"):
        descriptor(participants=128, grid=grid(value_bits=17))


def test_the_finest_grid_uses_more_than_half_of_the_value_range() -> None:
    for norm, weight in ((1.0, 1), (0.37, 10_000), (250.0, 3)):
        bits = largest_fraction_bits(clipping_norm=norm, maximum_weight=weight, value_bits=16)
        assert 2**14 - 1 < norm * weight * 2.0**bits <= 2**15 - 1
        grid(clipping_norm=norm, maximum_weight=weight, fraction_bits=bits)
        with pytest.raises(ValueError, match="do not fit"):
            grid(clipping_norm=norm, maximum_weight=weight, fraction_bits=bits + 1)


@given(st.integers(8, 62), st.integers(1, 70), st.data())
@settings(deadline=None)
def test_the_sum_of_scalars_comes_back_exactly_from_the_sums_of_their_limbs(
    value_bits: int, bits: int, data: st.DataObject
) -> None:
    layout = Layout(1, (Scalar("a", bits), Scalar("b", 3)), value_bits)
    limit = 2**bits - 1
    values = data.draw(st.lists(st.tuples(st.integers(-limit, limit), st.integers(-7, 7)), min_size=1, max_size=2))
    vectors = [layout.join(np.array([5]), {"a": a, "b": b}) for a, b in values]
    half = 2 ** (value_bits - 1)
    assert all(-half <= vector.min() and vector.max() < half for vector in vectors)
    model, scalars = layout.split(np.sum(vectors, axis=0))
    assert scalars == {"a": sum(a for a, _ in values), "b": sum(b for _, b in values)}
    assert model.tolist() == [5 * len(values)]


def test_a_scalar_outside_its_bits_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        Layout(1, (Scalar("examples", 4),), 16).join(np.zeros(1, np.int64), {"examples": 16})


def round_trip(
    update: NDArray[np.float32], *, weight: int = 1, clipping_norm: float = 1.0, value_bits: int = 16
) -> tuple[SummedReports, Grid]:
    layout = report_layout(
        model_coordinates=len(update), value_bits=value_bits, maximum_weight=100, maximum_examples=5000, metrics=2
    )
    stated = Grid(
        coordinates=layout.coordinates,
        modulus_bits=32,
        value_bits=value_bits,
        fraction_bits=largest_fraction_bits(clipping_norm=clipping_norm, maximum_weight=100, value_bits=value_bits),
        clipping_norm=clipping_norm,
        maximum_weight=100,
    )
    report = ReportValues(update, weight, 4321, 12, (7.25, -0.5))
    return dequantise_scalars(quantise(report, stated, layout), layout), stated


def test_an_update_within_the_norm_comes_back_to_half_a_grid_step() -> None:
    update = np.array([0.5, -0.25, 1e-9, 0.1], np.float32)
    summed, stated = round_trip(update, weight=7)
    step = 2.0**-stated.fraction_bits
    np.testing.assert_allclose(to_real(summed.update_steps, stated), 7 * update.astype(np.float64), atol=step / 2)
    assert (summed.weight, summed.examples, summed.evaluations, summed.metrics) == (7, 4321, 12, (7.25, -0.5))
    assert summed.clipped == 0


def test_an_update_beyond_the_norm_is_scaled_to_it_and_says_so() -> None:
    summed, stated = round_trip(np.array([3.0, 4.0], np.float32), weight=100)
    np.testing.assert_allclose(to_real(summed.update_steps, stated), [60.0, 80.0], atol=0.01)
    assert summed.clipped == 1


@given(st.integers(1, 3000), st.integers(0, 2**32), st.sampled_from([0.01, 1.0, 1.0000001, 50.0]))
@settings(deadline=None, max_examples=50)
def test_rounding_never_carries_an_update_over_the_bound_that_privacy_rests_on(
    size: int, seed: int, norm: float
) -> None:
    direction = np.random.default_rng(seed).standard_normal(size)
    update = (direction * (norm / np.linalg.norm(direction))).astype(np.float32)
    summed, stated = round_trip(update, weight=100, value_bits=10)
    exact_square = sum(int(step) ** 2 for step in summed.update_steps)
    assert exact_square <= stated.bound_steps**2


def test_an_update_that_is_not_finite_is_not_quantised() -> None:
    for poison in (math.nan, math.inf):
        with pytest.raises(ValueError, match="not finite"):
            round_trip(np.array([poison, 0], np.float32))


@pytest.mark.parametrize("modulus_bits", [16, 24, 32, 40, 48, 56, 64])
def test_packing_keeps_the_low_b_bits_in_b_over_8_bytes(modulus_bits: int) -> None:
    stated = grid(coordinates=5, modulus_bits=modulus_bits, value_bits=8, fraction_bits=4)
    half = 2 ** (modulus_bits - 1)
    values = [0, 1, -1, half - 1, -half]
    words = np.array([value % 2**modulus_bits for value in values], np.uint64).astype(stated.word)
    body = pack(words, stated)
    assert body == b"".join((value % 2**modulus_bits).to_bytes(modulus_bits // 8, "little") for value in values)
    assert to_signed(unpack(body, stated), modulus_bits).tolist() == values
    with pytest.raises(Rejected, match="malformed"):
        unpack(body[:-1], stated)
