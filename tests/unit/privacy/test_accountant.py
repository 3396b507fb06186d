"""What releases cost together, and what has no price."""

import math

import pytest
from dp_accounting import GaussianDpEvent, NeighboringRelation, PoissonSampledDpEvent, SelfComposedDpEvent
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant

from fedrec_protocol.manifest import RoundPolicy
from services.aggregator.domain.eligibility import why_not_eligible
from services.aggregator.domain.privacy.accountant import UnsupportedRelease, epsilon
from services.aggregator.domain.privacy.events import (
    Charge,
    CorrelatedGaussianRelease,
    GaussianRelease,
    PoissonGaussianRelease,
    Release,
    SkellamRelease,
)
from services.aggregator.domain.privacy.participation import ParticipationLimit
from services.aggregator.domain.privacy.skellam_accounting import renyi_divergence
from tests.unit.aggregator.test_lives import collecting

DELTA = 1e-6
ANY_ROUND = ParticipationLimit()


def charges(*releases: Release, repeated: int = 0) -> list[Charge]:
    """One round for each release, and the first round run again so many times."""
    first = [Charge(charge_id=f"again {n}", round_number=1, releases=releases[:1]) for n in range(repeated)]
    return [Charge(charge_id=str(n), round_number=n, releases=(r,)) for n, r in enumerate(releases, 1)] + first


def gaussian(*multipliers: float) -> list[Charge]:
    return charges(*(GaussianRelease(noise_multiplier=z) for z in multipliers))


def price_of(*multipliers: float) -> float:
    """By the library, one event for each release."""
    accountant = PLDAccountant(NeighboringRelation.ADD_OR_REMOVE_ONE)
    for multiplier in multipliers:
        accountant.compose(GaussianDpEvent(multiplier))
    return float(accountant.get_epsilon(DELTA))


def test_nothing_released_costs_nothing() -> None:
    assert epsilon([], ANY_ROUND, DELTA) == 0


def test_rounds_with_different_noise_compose() -> None:
    assert epsilon(gaussian(2, 3, 6), ANY_ROUND, DELTA) == pytest.approx(price_of(2, 3, 6), rel=1e-3)


def test_two_releases_of_one_round_compose() -> None:
    both = (GaussianRelease(noise_multiplier=4), GaussianRelease(what="clip-count", noise_multiplier=5))
    assert epsilon([Charge(charge_id="a", round_number=1, releases=both)], ANY_ROUND, DELTA) == pytest.approx(
        price_of(4, 5), rel=1e-3
    )


def test_with_a_cap_the_users_worst_rounds_are_paid_for() -> None:
    limit = ParticipationLimit(maximum_participations=2)
    assert epsilon(gaussian(9, 2, 9, 3, 9), limit, DELTA) == pytest.approx(price_of(2, 3), rel=1e-3)


def test_a_minimum_separation_bounds_participations_too() -> None:
    limit = ParticipationLimit(minimum_separation=3)  # rounds 1, 4 and 7 at the most
    assert epsilon(gaussian(*[5] * 7), limit, DELTA) == pytest.approx(price_of(5, 5, 5), rel=1e-3)


def test_a_round_that_was_run_again_is_paid_for_again_within_the_cap() -> None:
    once = charges(GaussianRelease(noise_multiplier=5), GaussianRelease(noise_multiplier=5))
    again = charges(GaussianRelease(noise_multiplier=5), GaussianRelease(noise_multiplier=5), repeated=2)
    limit = ParticipationLimit(maximum_participations=1)
    assert epsilon(once, limit, DELTA) == pytest.approx(price_of(5), rel=1e-3)
    assert epsilon(again, limit, DELTA) == pytest.approx(price_of(5, 5, 5), rel=1e-3)


def test_sampled_rounds_are_amplified_and_no_cap_lowers_their_price() -> None:
    release = PoissonGaussianRelease(noise_multiplier=1.0, sampling_probability=0.05)
    accountant = PLDAccountant(NeighboringRelation.ADD_OR_REMOVE_ONE)
    accountant.compose(SelfComposedDpEvent(PoissonSampledDpEvent(0.05, GaussianDpEvent(1.0)), 20))
    sampled = charges(*[release] * 20)
    for limit in (ANY_ROUND, ParticipationLimit(maximum_participations=1)):
        assert epsilon(sampled, limit, DELTA) == pytest.approx(accountant.get_epsilon(DELTA), rel=1e-6)


def test_the_tight_price_of_sampled_rounds_lies_below_the_renyi_price() -> None:
    accountant = RdpAccountant()
    accountant.compose(SelfComposedDpEvent(PoissonSampledDpEvent(0.05, GaussianDpEvent(1.0)), 20))
    release = PoissonGaussianRelease(noise_multiplier=1.0, sampling_probability=0.05)
    tight = epsilon(charges(*[release] * 20), ANY_ROUND, DELTA)
    assert 0.7 * accountant.get_epsilon(DELTA) < tight < accountant.get_epsilon(DELTA)


def test_one_band_of_correlated_noise_is_independent_noise() -> None:
    independent = epsilon(gaussian(*[6] * 4), ANY_ROUND, DELTA)
    correlated = charges(*[CorrelatedGaussianRelease(noise_multiplier=6, coefficients=(1.0,))] * 4)
    assert epsilon(correlated, ANY_ROUND, DELTA) == pytest.approx(independent, rel=1e-6)


def test_skellam_noise_costs_the_gaussian_and_a_little_more() -> None:
    # Agarwal et al. 2021: the excess over the Gaussian's divergence vanishes as the variance grows.
    wide = SkellamRelease(variance=4e8, l2_steps=1e4, l1_steps=1e6)
    assert renyi_divergence(wide, 8) == pytest.approx(8 * 1e8 / (2 * 4e8), rel=1e-2)
    assert renyi_divergence(wide, 8) > 8 * 1e8 / (2 * 4e8)
    accountant = RdpAccountant()
    accountant.compose(SelfComposedDpEvent(GaussianDpEvent(2.0), 3))
    assert epsilon(charges(wide, wide, wide), ANY_ROUND, DELTA) == pytest.approx(
        accountant.get_epsilon(DELTA), rel=0.02
    )


def test_the_renyi_divergence_of_skellam_is_the_published_formula() -> None:
    release = SkellamRelease(variance=100, l2_steps=10, l1_steps=30)
    assert renyi_divergence(release, 3) == pytest.approx(3 * 100 / 200 + min((5 * 100 + 180) / 40_000, 90 / 200))


@pytest.mark.parametrize(
    "mixture",
    [
        (
            PoissonGaussianRelease(noise_multiplier=1, sampling_probability=0.1),
            CorrelatedGaussianRelease(noise_multiplier=1, coefficients=(1.0,)),
        ),
        (GaussianRelease(noise_multiplier=1), SkellamRelease(variance=9, l2_steps=1, l1_steps=1)),
        (
            SkellamRelease(variance=9, l2_steps=1, l1_steps=1),
            SkellamRelease(variance=10, l2_steps=1, l1_steps=1),
        ),
        (
            CorrelatedGaussianRelease(noise_multiplier=1, coefficients=(1.0,)),
            CorrelatedGaussianRelease(noise_multiplier=2, coefficients=(1.0,)),
        ),
        (PoissonGaussianRelease(noise_multiplier=1, sampling_probability=0.1, maximum_cohort=5),),
    ],
)
def test_what_has_no_proven_price_is_refused(mixture: tuple[Release, ...]) -> None:
    with pytest.raises(UnsupportedRelease):
        epsilon(charges(*mixture), ANY_ROUND, DELTA)


def test_metrics_beside_correlated_noise_add_up_as_gaussians() -> None:
    limit = ParticipationLimit(maximum_participations=2, minimum_separation=2)
    model = CorrelatedGaussianRelease(noise_multiplier=3.0, coefficients=(1.0, 0.5))
    both = [
        Charge(
            charge_id=str(n), round_number=n, releases=(model, GaussianRelease(what="metrics", noise_multiplier=4.0))
        )
        for n in range(1, 5)
    ]
    # Two columns of squared norm 1.25, over 9, and two rounds of metrics, each over 16.
    joint = (2 * 1.25 / 9 + 2 / 16) ** -0.5
    one = [Charge(charge_id="1", round_number=1, releases=(GaussianRelease(noise_multiplier=joint),))]
    assert epsilon(both, limit, 1e-5) == pytest.approx(epsilon(one, limit, 1e-5), rel=1e-6)


def test_releases_of_one_sampled_cohort_are_one_release_of_their_joint_noise() -> None:
    def price(*multipliers: float, probability: float = 0.1) -> float:
        releases = tuple(
            PoissonGaussianRelease(noise_multiplier=z, sampling_probability=probability) for z in multipliers
        )
        return epsilon([Charge(charge_id="1", round_number=1, releases=releases)], ParticipationLimit(), 1e-5)

    # 1 / 0.8^2 = 1 / 1^2 + 1 / (4/3)^2, and the cohort was drawn once.
    assert price(1.0, 4 / 3) == pytest.approx(price(0.8), rel=1e-6)


def test_releases_of_one_round_cannot_be_of_two_samples() -> None:
    releases = tuple(PoissonGaussianRelease(noise_multiplier=1, sampling_probability=q) for q in (0.1, 0.2))
    with pytest.raises(UnsupportedRelease, match="same sample"):
        epsilon([Charge(charge_id="1", round_number=1, releases=releases)], ParticipationLimit(), 1e-5)


def test_what_is_priced_is_what_a_participant_is_allowed() -> None:
    policy = RoundPolicy(aggregation_goal=10, maximum_participations=3, minimum_separation=4)
    limit = ParticipationLimit(maximum_participations=3, minimum_separation=4)
    taken: list[int] = []
    for number in range(1, 30):
        if why_not_eligible(policy, collecting(number), len(taken), max(taken, default=-99)) is None:
            taken.append(number)
    assert taken == [1, 5, 9]
    assert limit.most_participations(8) == 2
    assert limit.most_participations(29) == 3
    assert math.isfinite(ParticipationLimit().most_participations(10**9))
