"""The price of what was released: epsilon at a delta, by privacy loss distributions.

Google's dp-accounting does the arithmetic (Koskela et al. 2020; Doroshenko et al. 2022,
https://arxiv.org/abs/2207.04380); it is imported on first use, for it takes a second. What it, and the proofs here,
do not cover is refused: no release is priced by analogy.
"""

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from services.aggregator.domain.privacy import correlated, skellam_accounting
from services.aggregator.domain.privacy.events import (
    Charge,
    CorrelatedGaussianRelease,
    GaussianRelease,
    PoissonGaussianRelease,
    SkellamRelease,
)
from services.aggregator.domain.privacy.participation import ParticipationLimit


class UnsupportedRelease(ValueError):
    """There is no proven price for this combination of releases."""


def epsilon(charges: Sequence[Charge], limit: ParticipationLimit, target_delta: float) -> float:
    """The epsilon, at delta, of everything that was released, for the user it tells most about.

    Raises:
        UnsupportedRelease: a combination without a proven price.
    """
    kinds = {release.kind for charge in charges for release in charge.releases}
    match sorted(kinds):
        case []:
            return 0.0
        case ["correlated-gaussian"]:
            return _of_gaussian(_correlated_multiplier(charges, limit), target_delta)
        case ["correlated-gaussian", "gaussian"]:
            # Both are Gaussian mechanisms, also when each round is chosen by what was released before.
            both = (_correlated_multiplier(charges, limit), _worst_multiplier(charges, limit))
            return _of_gaussian(math.fsum(z**-2 for z in both) ** -0.5, target_delta)
        case ["skellam"]:
            return skellam_accounting.epsilon(_worst_skellam(charges, limit), target_delta)
        case ["gaussian"]:
            return _of_gaussian(_worst_multiplier(charges, limit), target_delta)
        case ["poisson-gaussian"] | ["gaussian", "poisson-gaussian"]:
            return _of_sampled(charges, target_delta)
    raise UnsupportedRelease(f"no proven price for {' and '.join(sorted(kinds))} together")


def _of_gaussian(noise_multiplier: float, target_delta: float) -> float:
    """Gaussian releases compose to one Gaussian, whose price is known in closed form.

    Balle and Wang 2018, https://arxiv.org/abs/1805.06530: what a privacy loss distribution approximates, without
    a grid.
    """
    from dp_accounting import get_epsilon_gaussian  # noqa: PLC0415 - takes a second to import

    return float(get_epsilon_gaussian(noise_multiplier, target_delta))


def _worst_multiplier(charges: Sequence[Charge], limit: ParticipationLimit) -> float:
    """The one Gaussian that equals the user's worst rounds together: 1 / z**2 adds up over releases.

    Which rounds a user was in is not known, so the most that the limit allows are taken among the least
    noisy. That is never too little, whatever the order of the rounds.
    """
    losses = sorted((_gaussian_loss(charge) for charge in charges), reverse=True)
    return 1 / math.sqrt(sum(losses[: _participations(charges, limit)]))


def _gaussian_loss(charge: Charge) -> float:
    releases = [release for release in charge.releases if isinstance(release, GaussianRelease)]
    return math.fsum(release.noise_multiplier**-2 for release in releases)


def _participations(charges: Sequence[Charge], limit: ParticipationLimit) -> int:
    """The most charges that one user can be in: a round that was run again counts each of its runs."""
    runs = Counter(charge.round_number for charge in charges)
    most_rounds = limit.most_participations(max(runs) - min(runs) + 1)
    return sum(sorted(runs.values(), reverse=True)[:most_rounds])


def _correlated_multiplier(charges: Sequence[Charge], limit: ParticipationLimit) -> float:
    """The one Gaussian that equals all steps of a matrix mechanism; its rows are the rounds' numbers."""
    steps = [(c.round_number, r) for c in charges for r in c.releases if isinstance(r, CorrelatedGaussianRelease)]
    numbers, first = {number for number, _ in steps}, steps[0][1]
    if {release for _, release in steps} != {first} or any(
        sum(isinstance(release, CorrelatedGaussianRelease) for release in charge.releases) > 1 for charge in charges
    ):
        raise UnsupportedRelease("a matrix mechanism has one release a round, with one matrix and one noise multiplier")
    try:
        sensitivity = correlated.sensitivity(
            first.coefficients, limit, rounds=max(numbers) - min(numbers) + 1, repeated=len(steps) - len(numbers)
        )
    except correlated.SeparationTooSmall as error:
        raise UnsupportedRelease(str(error)) from error
    return first.noise_multiplier / sensitivity


def _worst_skellam(charges: Sequence[Charge], limit: ParticipationLimit) -> list[SkellamRelease]:
    """The releases of the user's most telling rounds."""
    by_charge = [[r for r in charge.releases if isinstance(r, SkellamRelease)] for charge in charges]
    by_charge.sort(key=lambda releases: sum(r.l2_steps**2 / r.variance for r in releases), reverse=True)
    if len({release for releases in by_charge for release in releases}) > 1:
        raise UnsupportedRelease("Skellam releases of one lineage must all be alike")
    return [release for releases in by_charge[: _participations(charges, limit)] for release in releases]


def _of_sampled(charges: Sequence[Charge], target_delta: float) -> float:
    """Every user is in every round with the coin's probability, so all rounds count whatever the limit."""
    counts: Counter[GaussianRelease | PoissonGaussianRelease] = Counter()
    for charge in charges:
        sampled = [release for release in charge.releases if isinstance(release, PoissonGaussianRelease)]
        counts.update(release for release in charge.releases if isinstance(release, GaussianRelease))
        counts.update([_together(sampled)] if sampled else [])
    return _price(tuple(counts.items()), target_delta)


def _together(releases: Sequence[PoissonGaussianRelease]) -> PoissonGaussianRelease:
    """The releases of one sampled cohort: one Gaussian of them all, sampled once, for 1 / z**2 adds up."""
    first = releases[0]
    multiplier = math.fsum(release.noise_multiplier**-2 for release in releases) ** -0.5
    alike = {release.model_copy(update={"what": "all", "noise_multiplier": multiplier}) for release in releases}
    if len(alike) > 1:
        raise UnsupportedRelease("the releases of one round are of one cohort: they must state the same sample")
    return first if len(releases) == 1 else alike.pop()


def _sampled_event(release: GaussianRelease | PoissonGaussianRelease) -> Any:
    import dp_accounting as dp  # noqa: PLC0415 - takes a second to import

    if isinstance(release, GaussianRelease):
        return dp.GaussianDpEvent(release.noise_multiplier)
    if release.maximum_cohort is None:
        return dp.PoissonSampledDpEvent(release.sampling_probability, dp.GaussianDpEvent(release.noise_multiplier))
    if release.population is None:
        raise UnsupportedRelease("a capped cohort is priced for a stated population")
    return dp.TruncatedSubsampledGaussianDpEvent(
        dataset_size=release.population,
        sampling_probability=release.sampling_probability,
        truncated_batch_size=release.maximum_cohort,
        noise_multiplier=release.noise_multiplier,
    )


@lru_cache(maxsize=256)
def _price(counts: tuple[tuple[GaussianRelease | PoissonGaussianRelease, int], ...], target_delta: float) -> float:
    """By privacy loss distributions, which take seconds: what a round would cost is asked before it and after it."""
    from dp_accounting import NeighboringRelation, SelfComposedDpEvent, UnsupportedEventError  # noqa: PLC0415
    from dp_accounting.pld import PLDAccountant  # noqa: PLC0415

    accountant = PLDAccountant(NeighboringRelation.ADD_OR_REMOVE_ONE)
    try:
        for release, count in counts:
            accountant.compose(SelfComposedDpEvent(_sampled_event(release), count))
    except UnsupportedEventError as error:
        raise UnsupportedRelease(str(error)) from error
    return float(accountant.get_epsilon(target_delta))
