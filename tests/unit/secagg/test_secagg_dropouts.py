"""Whoever drops out, whenever: the sum of the rest is exact, or nothing is released."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fedrec_protocol.secagg.errors import Reason, Refused, RoundAborted
from fedrec_protocol.secagg.ring_parameters import ring_parameters
from tests.unit.secagg.secagg_round import Round, descriptor, grid, sum_of, vector_of

SIZE = 9
THRESHOLD = 7  # floor(2 * 9 / 3) + 1
LAST_SEEN = ("advert", "shares", "report", "ack", "reveal")


def run(last_seen: list[str], stated_floor: int = 5) -> Round:
    """A round in which participant i's last message is `last_seen[i]`."""
    gone = {phase: {i for i, last in enumerate(last_seen) if last == phase} for phase in LAST_SEEN}
    this = Round.of(len(last_seen), minimum_survivors=stated_floor)
    this.share(without=gone["advert"])
    this.report(vector_of, without=gone["shares"])
    this.acknowledge(without=gone["report"])
    this.reveal(without=gone["ack"])
    return this


@given(st.lists(st.sampled_from(LAST_SEEN), min_size=SIZE, max_size=SIZE))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_pattern_of_dropouts_gives_the_exact_sum_or_a_clean_end(last_seen: list[str]) -> None:
    outcome = sum_or_reason(last_seen)
    if last_seen.count("reveal") < THRESHOLD:
        assert outcome in (Reason.BELOW_THRESHOLD, Reason.COHORT_TOO_SMALL)
    else:
        reported = [i for i, last in enumerate(last_seen) if last in ("report", "ack", "reveal")]
        np.testing.assert_array_equal(outcome, sum_of(reported))


def sum_or_reason(last_seen: list[str]) -> NDArray[np.int64] | Reason:
    try:
        return run(last_seen).sum()
    except (RoundAborted, Refused) as ended:
        return ended.reason


@pytest.mark.parametrize("phase", LAST_SEEN[:-1])
def test_the_last_tolerated_dropout_of_a_phase_is_tolerated_and_the_next_is_not(phase: str) -> None:
    within = [phase] * (SIZE - THRESHOLD) + ["reveal"] * THRESHOLD
    first = 0 if phase in ("report", "ack") else SIZE - THRESHOLD
    np.testing.assert_array_equal(run(within).sum(), sum_of(range(first, SIZE)))
    with pytest.raises((RoundAborted, Refused), match="below-threshold"):
        run([phase, *within[:-1]]).sum()


def test_dropouts_are_survived_on_a_ring_at_every_phase() -> None:
    ring = ring_parameters(130, corrupt=Fraction(1, 10), dropouts=Fraction(1, 10))
    stated = descriptor(participants=130, ring=ring, grid=grid(modulus_bits=32), minimum_survivors=32)
    this = Round.of(130, stated=stated)
    this.share(without=[1, 50])
    this.report(vector_of, without=[2, 51, 100])
    this.acknowledge(without=[3])
    this.reveal(without=[4, 90])
    np.testing.assert_array_equal(this.sum(), sum_of(this.everybody - {1, 50, 2, 51, 100}))


def test_the_sum_is_exact_at_both_ends_of_the_range() -> None:
    for extreme in (2**15 - 1, -(2**15)):
        this = Round.of(9)
        this.share()
        this.report({position: np.full(8, extreme) for position in this.everybody}.__getitem__)
        this.acknowledge()
        this.reveal()
        assert this.sum().tolist() == [9 * extreme] * 8
