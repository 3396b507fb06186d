"""The ledger's prices against accountants that share no code with it.

Microsoft's `prv_accountant` (Gopi, Lee and Wutschitz 2021, https://arxiv.org/abs/2106.02848) states how far it may be
off; where it knows no mechanism, delta is summed up from the probabilities of what is really released.
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from prv_accountant import PRVAccountant
from prv_accountant.privacy_random_variables import GaussianMechanism, PoissonSubsampledGaussianMechanism
from scipy.linalg import toeplitz
from scipy.stats import skellam

from services.aggregator.domain.privacy.accountant import epsilon
from services.aggregator.domain.privacy.central import MINIMUM_DEVIATION_STEPS
from services.aggregator.domain.privacy.correlated import banded_square_root
from services.aggregator.domain.privacy.events import (
    Charge,
    CorrelatedGaussianRelease,
    GaussianRelease,
    PoissonGaussianRelease,
    Release,
    SkellamRelease,
)
from services.aggregator.domain.privacy.participation import ParticipationLimit

DELTA = 1e-6


def price(*releases: Release, limit: ParticipationLimit | None = None) -> float:
    """By the ledger's accountant: one round for each release."""
    charges = [Charge(charge_id=str(n), round_number=n, releases=(each,)) for n, each in enumerate(releases, 1)]
    return epsilon(charges, limit or ParticipationLimit(), DELTA)


def prv_interval(*mechanisms: tuple[object, int]) -> tuple[float, float]:
    """Between which values epsilon lies, by `prv_accountant`: mechanisms, and how often each is composed."""
    counts = [count for _, count in mechanisms]
    accountant = PRVAccountant(
        prvs=[mechanism for mechanism, _ in mechanisms],
        max_self_compositions=counts,
        eps_error=0.005,
        delta_error=DELTA * 1e-4,
    )
    low, _, high = accountant.compute_epsilon(DELTA, counts)
    return float(low), float(high)


@pytest.mark.parametrize(("multiplier", "rounds"), [(1.0, 1), (4.99, 5), (14.6, 500)])
def test_gaussian_rounds_cost_what_the_other_accountant_says(multiplier: float, rounds: int) -> None:
    low, high = prv_interval((GaussianMechanism(noise_multiplier=multiplier), rounds))
    assert low <= price(*[GaussianRelease(noise_multiplier=multiplier)] * rounds) <= high


def test_rounds_of_a_noise_schedule_cost_what_the_other_accountant_says() -> None:
    low, high = prv_interval((GaussianMechanism(noise_multiplier=9.0), 3), (GaussianMechanism(noise_multiplier=4.0), 2))
    schedule = [GaussianRelease(noise_multiplier=z) for z in (9.0, 9.0, 9.0, 4.0, 4.0)]
    assert low <= price(*schedule) <= high


@pytest.mark.parametrize(("multiplier", "probability", "rounds"), [(1.0, 0.05, 20), (0.913, 0.01, 500), (2.0, 0.5, 10)])
def test_sampled_rounds_cost_what_the_other_accountant_says(multiplier: float, probability: float, rounds: int) -> None:
    sampled = PoissonSubsampledGaussianMechanism(noise_multiplier=multiplier, sampling_probability=probability)
    low, high = prv_interval((sampled, rounds))
    release = PoissonGaussianRelease(noise_multiplier=multiplier, sampling_probability=probability)
    assert low <= price(*[release] * rounds) <= high


def test_banded_noise_costs_the_gaussian_of_the_worst_participation_that_can_be_enumerated() -> None:
    limit, rounds, coefficients = ParticipationLimit(maximum_participations=3, minimum_separation=4), 14, 4
    column = np.zeros(rounds)
    column[:coefficients] = banded_square_root(coefficients)
    strategy = np.tril(toeplitz(column))
    allowed = [
        list(taken)
        for size in (1, 2, 3)
        for taken in itertools.combinations(range(rounds), size)
        if all(later - earlier >= 4 for earlier, later in itertools.pairwise(taken))
    ]
    # Any updates of norm one: with signs they add up to no more, for the columns do not overlap.
    worst = max(
        float(np.linalg.norm(strategy[:, taken] @ np.array(signs)))
        for taken in allowed
        for signs in itertools.product((1.0, -1.0), repeat=len(taken))
    )
    release = CorrelatedGaussianRelease(noise_multiplier=3.0, coefficients=banded_square_root(coefficients))
    low, high = prv_interval((GaussianMechanism(noise_multiplier=3.0 / worst), 1))
    assert low <= price(*[release] * rounds, limit=limit) <= high


# ---- what is really drawn: integers --------------------------------------------------------------------


def integer_gaussian(deviation: float) -> NDArray[np.float64]:
    """Probabilities of the discrete Gaussian, at -reach to reach."""
    reach = math.ceil(12 * deviation)
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * deviation**2))
    return np.asarray(weights / weights.sum())


def hockey_stick(with_user: NDArray[np.float64], without: NDArray[np.float64], claimed: float) -> float:
    """The delta at which two distributions over the same outcomes are (claimed, delta)-close."""
    return float(np.maximum(with_user - math.exp(claimed) * without, 0.0).sum())


def shifted(probabilities: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    return np.concatenate([np.zeros(steps), probabilities[:-steps]])


@pytest.mark.parametrize(("multiplier", "coordinates"), [(1.0, 1), (1.0, 4), (2.0, 4), (4.0, 9)])
def test_fifty_steps_of_discrete_gaussian_are_as_private_as_the_continuous_one_that_is_charged(
    multiplier: float, coordinates: int
) -> None:
    deviation = float(MINIMUM_DEVIATION_STEPS)
    # A user moves each of the coordinates by as much: what tells is their sum, by convolution.
    each = math.floor(deviation / multiplier / math.sqrt(coordinates))
    total = np.array([1.0])
    for _ in range(coordinates):
        total = np.convolve(total, integer_gaussian(deviation))
    spent = price(GaussianRelease(noise_multiplier=deviation / (each * math.sqrt(coordinates))))
    # The sum moves by coordinates * each, and has deviation sqrt(coordinates) * 50.
    assert hockey_stick(shifted(total, each * coordinates), total, spent) == pytest.approx(DELTA, rel=1e-3)


@pytest.mark.parametrize(("multiplier", "rounds"), [(1.0, 1), (2.0, 1), (2.0, 4)])
def test_skellam_noise_is_at_least_as_private_as_it_is_charged(multiplier: float, rounds: int) -> None:
    steps = 200
    variance = (multiplier * steps) ** 2
    spent = price(*[SkellamRelease(variance=variance, l2_steps=steps, l1_steps=steps)] * rounds)
    # Sums of Skellam are Skellam; for equal moves the sum over the rounds is what tells.
    reach = math.ceil(12 * math.sqrt(variance * rounds)) + steps * rounds
    noise = skellam.pmf(np.arange(-reach, reach + 1), variance * rounds / 2, variance * rounds / 2)
    assert moved_delta(noise, steps * rounds, spent) <= DELTA
    assert moved_delta(noise, steps * rounds, 0.75 * spent) > DELTA  # and the bound is no idle one


def moved_delta(noise: NDArray[np.float64], steps: int, claimed: float) -> float:
    """The larger delta of adding a user and of removing one."""
    moved = shifted(noise, steps)
    return max(hockey_stick(moved, noise, claimed), hockey_stick(noise, moved, claimed))


def test_a_price_that_is_too_low_lies_outside_of_what_the_other_accountant_allows() -> None:
    low, high = prv_interval((GaussianMechanism(noise_multiplier=2.0), 5))
    prices: Sequence[float] = [price(*[GaussianRelease(noise_multiplier=2.0)] * rounds) for rounds in (4, 5, 6)]
    assert [low <= each <= high for each in prices] == [False, True, False]
