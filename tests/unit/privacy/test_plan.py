"""The reference table: 100,000 users, 1,000 a round, 500 rounds, delta 1e-6; noise deviation over clipping norm.

The expected numbers are the design's, from runs of Google's accountants, and for the rows without sampling
from the analytic Gaussian mechanism (Balle and Wang 2018), which is computed here.
"""

import math

import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from services.aggregator.domain.privacy.accountant import UnsupportedRelease, epsilon
from services.aggregator.domain.privacy.calibrate import smallest_multiplier
from services.aggregator.domain.privacy.events import Charge, PoissonGaussianRelease
from services.aggregator.domain.privacy.participation import ParticipationLimit
from services.aggregator.domain.privacy.plan import Mechanism, Scenario, plan

UNLIMITED = ParticipationLimit()
TABLE = Scenario(users=100_000, cohort=1000, rounds=500, target_delta=1e-6)
AT_MOST_FIVE = TABLE.model_copy(update={"limit": ParticipationLimit(maximum_participations=5)})


def analytic_gaussian(target_epsilon: float, target_delta: float) -> float:
    """Balle and Wang 2018, theorem 8, https://arxiv.org/abs/1805.06530: exact, for sensitivity 1."""

    def delta(deviation: float) -> float:
        a, b = 1 / (2 * deviation), target_epsilon * deviation
        return float(norm.cdf(a - b) - math.exp(target_epsilon) * norm.cdf(-a - b))

    return float(brentq(lambda deviation: delta(deviation) - target_delta, 0.05, 100))


def price(multiplier: float, **claims: int) -> float:
    release = PoissonGaussianRelease(noise_multiplier=multiplier, sampling_probability=0.01, **claims)
    charges = [Charge(charge_id=str(n), round_number=n, releases=(release,)) for n in range(1, 501)]
    return epsilon(charges, UNLIMITED, 1e-6)


@pytest.mark.parametrize(("target", "multiplier"), [(2, 0.913), (8, 0.573)])
def test_poisson_sampling_of_one_in_a_hundred(target: float, multiplier: float) -> None:
    assert price(1.003 * multiplier) < target < price(0.997 * multiplier)


@pytest.mark.slow
def test_a_cap_of_1200_on_the_sampled_cohort_costs_nothing() -> None:
    capped = {"population": 100_000, "maximum_cohort": 1200}
    assert price(1.003 * 0.913, **capped) < 2 < price(0.997 * 0.913, **capped)


@pytest.mark.slow
def test_a_fixed_size_cohort_needs_twice_the_noise_for_users_are_replaced() -> None:
    assert plan(Mechanism.FIXED_SIZE, TABLE, 2).noise_multiplier == pytest.approx(1.83, rel=0.003)


@pytest.mark.parametrize(("target", "multiplier"), [(2, 4.99), (8, 1.46)])
def test_without_amplification_and_at_most_five_rounds_of_a_user(target: float, multiplier: float) -> None:
    planned = plan(Mechanism.PARTICIPATIONS, AT_MOST_FIVE, target)
    assert planned.noise_multiplier == pytest.approx(multiplier, rel=0.002)
    assert planned.noise_multiplier == pytest.approx(math.sqrt(5) * analytic_gaussian(target, 1e-6), rel=0.002)
    assert planned.epsilon <= target


@pytest.mark.parametrize(("target", "multiplier"), [(2, 49.9), (8, 14.6)])
def test_without_amplification_and_any_user_in_all_500_rounds(target: float, multiplier: float) -> None:
    planned = plan(Mechanism.PARTICIPATIONS, TABLE, target)
    assert planned.noise_multiplier == pytest.approx(multiplier, rel=0.002)


def test_local_privacy_puts_92_norms_of_noise_on_the_sum_where_central_puts_one_and_a_half() -> None:
    # sqrt(1000) reports, each with the noise for a sensitivity of two norms: 2 * 1.46 * sqrt(1000) = 92.3
    assert plan(Mechanism.LOCAL, AT_MOST_FIVE, 8).noise_multiplier == pytest.approx(92, rel=0.01)


def test_noise_inside_masks_costs_hardly_more_than_the_servers() -> None:
    scenario = Scenario(users=1000, cohort=1000, rounds=1, target_delta=1e-6, coordinates=200_000)
    inside = plan(Mechanism.DISTRIBUTED, scenario, 2.0).noise_multiplier
    of_the_server = plan(Mechanism.PARTICIPATIONS, scenario, 2.0).noise_multiplier
    # The Renyi price of a Gaussian is about a tenth above its exact one here; Skellam's is that and a little.
    assert of_the_server < inside < 1.25 * of_the_server


def test_correlated_noise_costs_the_norm_of_a_column_more_each_round() -> None:
    limit = ParticipationLimit(maximum_participations=5, minimum_separation=100)
    scenario = TABLE.model_copy(update={"limit": limit, "bands": 100})
    # ||c||**2 is the sum of the squared Catalan-like coefficients (binomial(2j, j) / 4**j)**2
    column = math.sqrt(sum((math.comb(2 * j, j) / 4**j) ** 2 for j in range(100)))
    planned = plan(Mechanism.CORRELATED, scenario, 8)
    assert planned.noise_multiplier == pytest.approx(column * math.sqrt(5) * analytic_gaussian(8, 1e-6), rel=0.002)


def test_bands_wider_than_the_separation_have_no_price() -> None:
    with pytest.raises(UnsupportedRelease, match="separation"):
        plan(Mechanism.CORRELATED, AT_MOST_FIVE.model_copy(update={"bands": 2}), 8)


def test_the_noise_of_a_mean_follows_from_the_multiplier_the_cohort_and_the_size() -> None:
    planned = plan(Mechanism.PARTICIPATIONS, AT_MOST_FIVE, 8)
    assert planned.relative_noise(250_000) == pytest.approx(500 * 1.46 / 1000, rel=0.002)
    words = " ".join(planned.sentences(250_000))
    assert "Noise multiplier 1.460: the whole training spends epsilon 8.000 at delta 1e-06" in words


def test_the_calibrated_multiplier_never_overspends_and_is_within_a_thousandth() -> None:
    for target in (0.01, 1.0, 300.0):
        found = smallest_multiplier(lambda z: 7 / z, target)
        assert 7 / target <= found <= 7 / target * 1.0011
