"""Integer noise: its distribution, and its exactness where floating point is in doubt."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy import stats

from fedrec_protocol.noise import discrete_gaussian as module
from fedrec_protocol.noise.discrete_gaussian import discrete_gaussian
from fedrec_protocol.noise.lazy_uniform import LazyUniform
from fedrec_protocol.noise.random_bits import RandomBits
from fedrec_protocol.noise.skellam import skellam

SEED = bytes(range(32))


def fits(samples: np.ndarray, probabilities: dict[int, float]) -> bool:
    """Chi-square against a probability mass function; values expected less than ten times are pooled."""
    expected = {value: p * len(samples) for value, p in probabilities.items() if p * len(samples) >= 10}
    values, counts = np.unique(samples, return_counts=True)
    seen = dict(zip(values.tolist(), counts.tolist(), strict=True))
    observed = [seen.get(value, 0) for value in expected]
    rest = len(samples) - sum(observed)
    return bool(
        stats.chisquare([*observed, rest], [*expected.values(), len(samples) - sum(expected.values())]).pvalue > 1e-4
    )


def discrete_gaussian_pmf(variance: int) -> dict[int, float]:
    reach = range(-int(12 * math.sqrt(variance)) - 3, int(12 * math.sqrt(variance)) + 4)
    weights = {value: math.exp(-(value**2) / (2 * variance)) for value in reach}
    total = math.fsum(weights.values())
    return {value: weight / total for value, weight in weights.items()}


@pytest.mark.parametrize("variance", [1, 2, 10, 2500])
def test_samples_have_the_distribution_of_the_discrete_gaussian(variance: int) -> None:
    samples = discrete_gaussian(variance, 300_000, RandomBits(SEED))
    assert fits(samples, discrete_gaussian_pmf(variance))


@pytest.mark.parametrize("deviation", [50, 2**21, 2**40])
def test_wide_samples_have_the_quantiles_of_a_normal_distribution(deviation: int) -> None:
    samples = discrete_gaussian(deviation**2, 100_000, RandomBits(SEED))
    assert (
        stats.kstest(samples + np.random.default_rng(1).uniform(-0.5, 0.5, len(samples)), "norm", (0, deviation)).pvalue
        > 1e-4
    )


def test_the_fast_comparisons_decide_as_exact_arithmetic_does(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = discrete_gaussian(2500, 3000, RandomBits(SEED))
    monkeypatch.setattr(module, "_DOUBT", 2.0**14)  # everything is in doubt, and settled exactly
    np.testing.assert_array_equal(discrete_gaussian(2500, 3000, RandomBits(SEED)), fast)


def test_a_uniform_on_the_boundary_draws_more_bits_until_it_is_decided() -> None:
    gamma = Fraction(1, 3)
    boundary = math.floor(Fraction(math.exp(-1 / 3)) * 2**64)
    # exp(-1/3) to 128 bits, from its Taylor series in rational arithmetic
    series = sum(((-gamma) ** n) / math.factorial(n) for n in range(60))
    word, next_word = divmod(math.floor(series * 2**128), 2**64)
    assert abs(word - boundary) < 2**12
    assert LazyUniform(word, iter([next_word - 5]).__next__).is_below_exp(gamma)
    assert not LazyUniform(word, iter([next_word + 5]).__next__).is_below_exp(gamma)
    undecided = iter([next_word, 0])
    assert LazyUniform(word, undecided.__next__).is_below_exp(gamma)
    assert next(undecided, None) is None


@pytest.mark.parametrize("variance", [1, 7, 400])
def test_skellam_samples_have_the_distribution_of_skellam(variance: int) -> None:
    samples = skellam(variance, 300_000, RandomBits(SEED))
    reach = range(-10 * math.isqrt(variance) - 20, 10 * math.isqrt(variance) + 21)
    assert fits(samples, {value: float(stats.skellam.pmf(value, variance / 2, variance / 2)) for value in reach})


def test_skellam_parts_of_many_participants_are_skellam_of_their_total_variance() -> None:
    parts = skellam(9, 40 * 50_000, RandomBits(SEED)).reshape(40, 50_000).sum(axis=0)
    reach = range(-200, 201)
    assert fits(parts, {value: float(stats.skellam.pmf(value, 180, 180)) for value in reach})


@pytest.mark.parametrize("sampler", [discrete_gaussian, skellam])
def test_a_variance_out_of_range_is_refused(sampler: Callable[[int, int, RandomBits], Any]) -> None:
    for variance in (0, -1, 2**81):
        with pytest.raises(ValueError, match="outside"):
            sampler(variance, 1, RandomBits(SEED))


def test_two_generators_from_the_operating_system_differ() -> None:
    first, second = (RandomBits.from_operating_system().words(4).tolist() for _ in range(2))
    assert first != second
