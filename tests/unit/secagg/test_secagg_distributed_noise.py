"""Noise inside the mask: the released sum has at least what was promised, and nothing else changes."""

import numpy as np
import pytest

from fedrec_protocol.noise.local import local_bound_steps, local_variance, locally_private
from fedrec_protocol.noise.random_bits import RandomBits
from fedrec_protocol.secagg.distributed_noise import participant_variance, with_own_noise
from tests.unit.secagg.secagg_round import Round, descriptor, grid

WIDE = grid(coordinates=20_000, modulus_bits=32, value_bits=20)


@pytest.mark.parametrize(("survivors", "missing"), [(5, 2), (7, 0)])
def test_a_released_sum_carries_the_noise_of_all_its_survivors(survivors: int, missing: int) -> None:
    total = 10_001
    part = participant_variance(total, honest_survivors=5)
    assert 5 * part >= total > 5 * (part - 1)
    this = Round.of(7, stated=descriptor(grid=WIDE, noise_variance=part))
    zeros = np.zeros(WIDE.coordinates, np.int64)
    this.share()
    this.report(
        lambda position: with_own_noise(zeros, part, len(zeros), RandomBits(bytes([position]) * 32)),
        without=range(missing),
    )
    this.acknowledge()
    this.reveal()
    assert this.sum().var() == pytest.approx(survivors * part, rel=0.05)


def test_counts_behind_the_models_coordinates_have_no_noise() -> None:
    noisy = with_own_noise(np.arange(2000), 10**6, 1900, RandomBits(bytes(32)))
    assert (noisy[:1900] != np.arange(1900)).mean() > 0.99
    np.testing.assert_array_equal(noisy[1900:], np.arange(1900, 2000))


def test_a_locally_private_report_has_noise_for_twice_the_bound() -> None:
    report = locally_private(
        np.zeros(100_000, np.int64), bound_steps=1000, noise_multiplier=1.5, bits=RandomBits(bytes(32))
    )
    assert report.std() == pytest.approx(3000, rel=0.01)


def test_a_local_reports_bound_holds_after_its_coordinates_were_rounded() -> None:
    steps = np.full(10_000, 0.51)  # each is rounded up to 1
    norm = float(np.linalg.norm(steps))
    assert np.linalg.norm(np.rint(steps)) > norm + 48
    assert np.linalg.norm(np.rint(steps)) <= local_bound_steps(norm / 1024, 1024.0, 10_000)


def test_local_noise_is_never_below_what_is_charged() -> None:
    # Two reports of this bound differ by up to 2 * 1000 steps: sigma = z * 2000.
    assert local_variance(1000, 1.5) == 3000**2
    assert local_variance(1, 0.3) == 1  # 0.36, rounded up
