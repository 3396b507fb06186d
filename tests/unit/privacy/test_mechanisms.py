"""The mechanisms: the grid of the noise, adaptive clipping, Poisson cohorts, correlated noise."""

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import toeplitz

from fedrec_protocol.noise.random_bits import RandomBits
from fedrec_protocol.privacy import AdaptiveClipping
from services.aggregator.domain.privacy import correlated
from services.aggregator.domain.privacy.adaptive_clipping import CountNoiseTooSmall, model_multiplier, next_norm
from services.aggregator.domain.privacy.central import GridTooCoarse, NoisePlan
from services.aggregator.domain.privacy.participation import ParticipationLimit
from services.aggregator.domain.privacy.poisson import draw_cohort

SEED = bytes(range(32))


def test_noise_below_fifty_grid_steps_is_refused() -> None:
    with pytest.raises(GridTooCoarse, match=r"49\.0 grid steps"):
        NoisePlan(sensitivity_steps=49, noise_multiplier=1.0).variance_steps  # noqa: B018 - reading it is what raises


def test_the_noise_is_never_below_what_is_charged() -> None:
    plan = NoisePlan(sensitivity_steps=1001, noise_multiplier=0.913)
    assert plan.variance_steps >= (0.913 * 1001) ** 2 > plan.variance_steps - 1


def test_the_clipping_norm_settles_at_the_median_of_the_update_norms() -> None:
    generator = np.random.default_rng(3)
    norms = generator.lognormal(0.7, 0.5, 1000)
    clipping, norm = AdaptiveClipping(initial_norm=0.01, count_noise=5.0), 0.01
    for _ in range(120):
        clipped = float((norms > norm).sum()) + generator.normal(0, 5.0)
        norm = next_norm(clipping, norm, clipped, goal=1000, largest=10.0)
    assert norm == pytest.approx(float(np.median(norms)), rel=0.03)


def test_the_clipping_norm_stays_between_a_thousandth_of_the_largest_and_the_largest() -> None:
    clipping = AdaptiveClipping(initial_norm=1.0, count_noise=5.0, learning_rate=2.0)
    smaller = larger = 1.0
    for _ in range(50):
        smaller = next_norm(clipping, smaller, 0.0, goal=100, largest=8.0)
        larger = next_norm(clipping, larger, 100.0, goal=100, largest=8.0)
    assert (smaller, larger) == (8.0 / 1024, 8.0)


def test_model_and_clip_count_together_cost_the_combined_multiplier() -> None:
    model = model_multiplier(1.46, count_noise=5.0)
    assert 1 / model**2 + 1 / 5.0**2 == pytest.approx(1 / 1.46**2)
    assert model > 1.46
    with pytest.raises(CountNoiseTooSmall, match="costs more"):
        model_multiplier(5.0, count_noise=5.0)


def test_a_poisson_cohort_has_the_binomial_mean_and_spread() -> None:
    enrolled, bits = [str(index) for index in range(2000)], RandomBits(SEED)
    sizes = [len(draw_cohort(enrolled, 0.1, bits)) for _ in range(400)]
    assert np.mean(sizes) == pytest.approx(200, abs=3)
    assert np.std(sizes) == pytest.approx(math.sqrt(2000 * 0.1 * 0.9), rel=0.12)


def test_a_capped_cohort_is_a_random_part_in_order_of_enrolment() -> None:
    enrolled, bits = [f"{index:04d}" for index in range(2000)], RandomBits(SEED)
    cohorts = [draw_cohort(enrolled, 0.5, bits, maximum_cohort=100) for _ in range(50)]
    assert all(len(cohort) == 100 and cohort == sorted(set(cohort)) for cohort in cohorts)
    assert np.mean([int(name) for cohort in cohorts for name in cohort]) == pytest.approx(1000, abs=40)


# ---- correlated noise ----------------------------------------------------------------------------------


def matrix(coefficients: tuple[float, ...], rounds: int) -> NDArray[np.float64]:
    column = np.zeros(rounds)
    column[: len(coefficients)] = coefficients[:rounds]
    return np.tril(toeplitz(column))


def test_all_bands_together_are_the_square_root_of_the_running_sum() -> None:
    root = matrix(correlated.banded_square_root(40), 40)
    np.testing.assert_allclose(root @ root, np.tril(np.ones((40, 40))), atol=1e-12)


def test_noise_made_round_by_round_is_the_inverse_matrix_times_fresh_noise() -> None:
    coefficients = correlated.banded_square_root(5)
    fresh = np.random.default_rng(1).integers(-1000, 1000, (30, 7))
    history: list[NDArray[np.float64]] = []
    for row in fresh:
        history.insert(0, correlated.next_noise(row, history[:4], coefficients))
    np.testing.assert_allclose(np.array(history[::-1]), np.linalg.inv(matrix(coefficients, 30)) @ fresh, rtol=1e-9)


def test_the_sensitivity_is_the_largest_change_over_all_allowed_participations() -> None:
    coefficients, limit = (
        correlated.banded_square_root(3),
        ParticipationLimit(maximum_participations=3, minimum_separation=3),
    )
    strategy, rounds = matrix(coefficients, 12), range(12)
    allowed = [
        taken
        for mask in range(1 << 12)
        if len(taken := [r for r in rounds if mask >> r & 1]) <= 3
        and all(later - earlier >= 3 for earlier, later in itertools.pairwise(taken))
    ]
    worst = max(np.linalg.norm(strategy[:, taken].sum(axis=1)) for taken in allowed)
    assert correlated.sensitivity(coefficients, limit, rounds=12) == pytest.approx(worst)


def test_correlated_noise_ends_five_times_lower_than_independent_noise_for_the_same_price() -> None:
    # 500 rounds, five participations 100 apart: total error = sensitivity * norm of the noise on the running sums.
    limit = ParticipationLimit(maximum_participations=5, minimum_separation=100)

    def error(bands: int) -> float:
        coefficients = correlated.banded_square_root(bands)
        decoder = np.tril(np.ones((500, 500))) @ np.linalg.inv(matrix(coefficients, 500))
        return correlated.sensitivity(coefficients, limit, rounds=500) * float(np.linalg.norm(decoder))

    assert error(1) / error(100) > 5
