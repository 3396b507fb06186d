"""Before training: the noise that a target epsilon takes, and what it does to the mean update."""

import math
from collections.abc import Callable
from enum import StrEnum

from pydantic import Field, PositiveFloat, PositiveInt

from fedrec_protocol.base import Message
from services.aggregator.domain.privacy import correlated
from services.aggregator.domain.privacy.accountant import epsilon
from services.aggregator.domain.privacy.calibrate import smallest_multiplier
from services.aggregator.domain.privacy.events import (
    Charge,
    CorrelatedGaussianRelease,
    GaussianRelease,
    PoissonGaussianRelease,
    Release,
    SkellamRelease,
)
from services.aggregator.domain.privacy.participation import ParticipationLimit

_GRID_STEPS = 2.0**13
"""Clipping norm in grid steps: what 20 value bits leave beside the noise of few survivors; more would cost no less."""


class Mechanism(StrEnum):
    """How noise is drawn, and what is claimed of who takes part."""

    PARTICIPATIONS = "participations"  # no sampling claim: a cap on each user's rounds
    CORRELATED = "correlated"  # the same, and each round's noise takes back part of the rounds before
    POISSON = "poisson"  # the server flips a coin for every enrolled participant
    FIXED_SIZE = "fixed-size"  # a uniformly random cohort of fixed size; users are replaced, not removed
    DISTRIBUTED = "distributed"  # participants add it inside masks: what counts is that of the honest survivors
    LOCAL = "local"  # every participant adds enough noise for itself; no sampling claim


_CHANGED = {
    Mechanism.FIXED_SIZE: "replaced",
    Mechanism.DISTRIBUTED: "whose updates become zeros",
    Mechanism.LOCAL: "whose updates become any others",
}


class Scenario(Message):
    """The training that is planned."""

    users: PositiveInt
    """Enrolled users."""
    cohort: PositiveInt
    """Reports in a round: the public denominator, and the expected cohort where it is sampled."""
    rounds: PositiveInt
    """Training rounds."""
    target_delta: float = Field(gt=0, lt=1)
    """Delta; well below one divided by the number of users."""
    limit: ParticipationLimit = ParticipationLimit()
    """How often one user takes part; counts only without sampling."""
    maximum_cohort: PositiveInt | None = None
    """Cap on a sampled cohort."""
    bands: PositiveInt = 1
    """Bands of correlated noise; at most the limit's minimum separation."""
    coordinates: PositiveInt = 100_000
    """Parameters of the model: the price of distributed noise depends on them a little."""


class Plan(Message):
    """The noise that was found."""

    mechanism: Mechanism
    """How it is drawn."""
    scenario: Scenario
    """For which training."""
    epsilon: PositiveFloat
    """What the whole training then spends."""
    noise_multiplier: PositiveFloat
    """Standard deviation of the noise on a round's sum divided by the clipping norm."""

    def relative_noise(self, coordinates: int) -> float:
        """L2 norm of the noise on a round's mean update divided by that of the largest possible mean, C.

        Real means are shorter than C, often ten times: where this is not well below 0.1, expect a loss of
        quality; halve it by doubling the cohort.
        """
        return math.sqrt(coordinates) * self.noise_multiplier / self.scenario.cohort

    def sentences(self, coordinates: int) -> list[str]:
        """The plan in words, for a terminal."""
        scenario = self.scenario
        return [
            f"Mechanism {self.mechanism}, {scenario.rounds} rounds of {scenario.cohort} out of {scenario.users} users.",
            f"Noise multiplier {self.noise_multiplier:.3f}: the whole training spends epsilon {self.epsilon:.3f} "
            f"at delta {scenario.target_delta:g}, for one user {_CHANGED.get(self.mechanism, 'added or removed')}.",
            f"The noise on a mean update of {coordinates} coordinates is {self.relative_noise(coordinates):.2f} times "
            "the clipping norm; a round helps while this is well below the mean's own length.",
        ]


def plan(mechanism: Mechanism, scenario: Scenario, target_epsilon: float) -> Plan:
    """The least noise with which the whole training stays within the target.

    Raises:
        UnsupportedRelease: a scenario without a proven price, such as bands wider than the separation.
    """
    price, factor = _pricing(mechanism, scenario)
    multiplier = smallest_multiplier(price, target_epsilon)
    return Plan(mechanism=mechanism, scenario=scenario, epsilon=price(multiplier), noise_multiplier=factor * multiplier)


def _pricing(mechanism: Mechanism, scenario: Scenario) -> tuple[Callable[[float], float], float]:
    """Epsilon as a function of a multiplier, and the noise on the sum for a multiplier of one."""

    def price(make: Callable[[float], Release]) -> Callable[[float], float]:
        return lambda multiplier: _epsilon_of(make(multiplier), scenario)

    probability = scenario.cohort / scenario.users
    match mechanism:
        case Mechanism.PARTICIPATIONS:
            return price(lambda z: GaussianRelease(noise_multiplier=z)), 1.0
        case Mechanism.DISTRIBUTED:
            return price(lambda z: _skellam(z, scenario.coordinates)), 1.0
        case Mechanism.LOCAL:
            # Any report may be replaced by any other: the sensitivity is 2 C, and every report has its noise.
            return price(lambda z: GaussianRelease(noise_multiplier=z)), 2 * math.sqrt(scenario.cohort)
        case Mechanism.CORRELATED:
            coefficients = correlated.banded_square_root(scenario.bands)
            return price(lambda z: CorrelatedGaussianRelease(noise_multiplier=z, coefficients=coefficients)), 1.0
        case Mechanism.POISSON:
            return price(lambda z: _poisson(z, probability, scenario)), 1.0
        case Mechanism.FIXED_SIZE:
            # Replacing a user changes the sum by up to 2 C; in that unit a random cohort of fixed size is
            # dominated by the pair of a Poisson sample (Zhu, Dong and Wang 2022, proposition 30).
            sampled = scenario.model_copy(update={"maximum_cohort": None})
            return price(lambda z: _poisson(z, probability, sampled)), 2.0


def _skellam(multiplier: float, coordinates: int) -> SkellamRelease:
    steps = _GRID_STEPS
    return SkellamRelease(variance=(multiplier * steps) ** 2, l2_steps=steps, l1_steps=math.sqrt(coordinates) * steps)


def _poisson(multiplier: float, probability: float, scenario: Scenario) -> PoissonGaussianRelease:
    capped = scenario.maximum_cohort
    return PoissonGaussianRelease(
        noise_multiplier=multiplier,
        sampling_probability=probability,
        population=None if capped is None else scenario.users,
        maximum_cohort=capped,
    )


def _epsilon_of(release: Release, scenario: Scenario) -> float:
    charges = [
        Charge(charge_id=str(number), round_number=number, releases=(release,))
        for number in range(1, scenario.rounds + 1)
    ]
    return epsilon(charges, scenario.limit, scenario.target_delta)
