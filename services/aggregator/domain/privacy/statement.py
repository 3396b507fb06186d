"""The privacy statement of a model version: for machines, and in words a lawyer and an engineer can read."""

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from fedrec_protocol.base import Message
from services.aggregator.domain.privacy.events import Charge, PoissonGaussianRelease, SkellamRelease
from services.aggregator.domain.privacy.ledger import Ledger


class NoiseBy(StrEnum):
    """Who adds the noise, and so who could see a sum without it."""

    SERVER = "server"  # the operator is trusted to add it, and not to keep the sum
    PARTICIPANTS = "participants"  # each adds a part inside secure aggregation
    EACH_PARTICIPANT = "each-participant"  # local privacy: each report is protected by itself


class Neighbouring(StrEnum):
    """Which two data sets are hard to tell apart."""

    ADD_OR_REMOVE = "add-or-remove-one-user"  # with a user, and without
    ZERO_OUT = "zero-out-one-user"  # with a user, and with zeros in that user's reports: those who took part are seen
    REPLACE = "replace-one-user"  # with a user, and with anything else in that user's reports


class Mechanism(Message):
    """How the rounds of a task protect a user."""

    noise_by: NoiseBy
    """Who adds the noise."""
    is_secure_aggregation: bool
    """Whether the server sees sums only."""
    clipping_norm: PositiveFloat
    """L2 bound on one user's update, in parameter units."""
    aggregation_goal: PositiveInt
    """The public denominator of the mean."""
    minimum_reports: PositiveInt
    """Fewest reports in a released sum."""
    colluding_share: float = 0.0
    """Share of the fewest participants whose noise is not counted, for they may collude with the operator."""
    is_adaptive_clipping: bool = False
    """Whether the norm followed the lengths of updates, found with noise; `clipping_norm` is then the largest."""


class PrivacyStatement(Message):
    """What is guaranteed about everything released up to a model version."""

    unit: Literal["user"] = "user"
    """What is protected: a user with everything that user ever reported."""
    mechanism: Mechanism
    """How."""
    neighbouring: Neighbouring = Neighbouring.ADD_OR_REMOVE
    """Which two data sets are hard to tell apart."""
    noise: tuple[str, ...]
    """Kinds of noise that were released, with their multipliers or variances."""
    sampling_claim: str
    """`none`, or the probability of the server's coin: amplification is claimed for nothing else."""
    maximum_participations: PositiveInt | None
    """Rounds that one user may be in, over the lineage."""
    minimum_separation: PositiveInt
    """Rounds between two of one user."""
    releases_charged: int = Field(ge=0)
    """Charges on the ledger, abandoned and repeated ones that may have been seen included."""
    epsilon: float = Field(ge=0)
    """Spent, for the user who took part as much as the limit allows."""
    delta: float = Field(gt=0, lt=1)
    """The probability, about, with which the guarantee may fail."""
    budget_epsilon: PositiveFloat
    """No round is opened that would spend more."""

    def plain_words(self) -> str:
        """The statement as a paragraph; epsilon is rounded up, never down."""
        epsilon, mechanism, cap = math.ceil(self.epsilon * 100) / 100, self.mechanism, self.maximum_participations
        times = "in any number of rounds" if cap is None else f"in at most {cap} rounds"
        sentences = [
            f"Everything published up to this version is (epsilon = {epsilon:.2f}, delta = {self.delta:g}) "
            "differentially private for each user",
            "In other words: whatever anybody finds in all published versions together would have been found with a "
            f"probability at most {_odds(epsilon)} larger or smaller if one person, with whatever data and taking part "
            f"{times}, {_OTHERWISE[self.neighbouring]}; except with a probability of about {self.delta:g}",
            *(_WEAK if epsilon > _WEAK_FROM else ()),
            f"One person's update in a round has a length of at most {mechanism.clipping_norm:g}; the noise fits it",
            *(_FOLLOWS if mechanism.is_adaptive_clipping else ()),
            _WHO_ADDS[mechanism.noise_by],
            *_collusion(mechanism),
            f"The server sees {_SEES[mechanism.is_secure_aggregation]} of at least {mechanism.minimum_reports} people",
            _sampling(self.sampling_claim),
            f"No round is opened that would bring epsilon above {self.budget_epsilon:g}",
            "Not promised: that nobody learns who is enrolled, who takes part and when, or what many people share",
        ]
        return ". ".join(sentences) + "."


_WEAK_FROM = 10.0
_WEAK = ("An epsilon above 10 is by itself a weak promise",)
_FOLLOWS = ("That bound followed noisy counts of longer updates, which are paid for in epsilon",)
_NEIGHBOURING = {
    NoiseBy.SERVER: Neighbouring.ADD_OR_REMOVE,
    # Noise that a participant brings is missing where the participant is, which shows in a sum of few.
    NoiseBy.PARTICIPANTS: Neighbouring.ZERO_OUT,
    NoiseBy.EACH_PARTICIPANT: Neighbouring.REPLACE,
}
_OTHERWISE = {
    Neighbouring.ADD_OR_REMOVE: "had never taken part",
    Neighbouring.ZERO_OUT: "had reported zeros, with the noise, each time",
    Neighbouring.REPLACE: "had reported anything else, with the noise, each time",
}
_SEES = {True: "sums", False: "single reports, and publishes sums"}
_WHO_ADDS = {
    NoiseBy.SERVER: "The operator's server adds the noise and is trusted to do so",
    NoiseBy.PARTICIPANTS: "The participants add the noise, inside sums that the server cannot open: "
    "the operator is not trusted with it",
    NoiseBy.EACH_PARTICIPANT: "Each participant adds noise to its own report before it leaves the device, "
    "so that the promise holds against the operator too",
}


def _odds(epsilon: float) -> str:
    """The largest ratio of two probabilities; as a number only where it says something."""
    if epsilon > _WEAK_FROM:
        return f"exp({epsilon:.2f}) times"
    ratio = math.exp(epsilon)
    return f"exp({epsilon:.2f}) (about {ratio:{',.0f' if ratio >= 10 else '.2f'}}) times"


def _collusion(mechanism: Mechanism) -> Sequence[str]:
    if not mechanism.colluding_share:
        return ()
    return (f"The noise of {mechanism.colluding_share:.0%} of them, who may collude with the operator, is not counted",)


def _sampling(claim: str) -> str:
    if claim == "none":
        return "No benefit of random sampling is claimed"
    return (
        f"The server drew each round's participants by a coin of probability {claim}, and the promise holds against "
        "those who do not know on whom it fell"
    )


def privacy_statement(ledger: Ledger, mechanism: Mechanism) -> PrivacyStatement:
    """The statement for a version that was released with the ledger's last charge."""
    return PrivacyStatement(
        mechanism=mechanism,
        neighbouring=_NEIGHBOURING[mechanism.noise_by],
        noise=tuple(sorted({noise for charge in ledger.charges for noise in _noises(charge)})),
        sampling_claim=_sampling_claim(ledger),
        maximum_participations=ledger.limit.maximum_participations,
        minimum_separation=ledger.limit.minimum_separation,
        releases_charged=len(ledger.charges),
        epsilon=ledger.spent,
        delta=ledger.budget.delta,
        budget_epsilon=ledger.budget.epsilon,
    )


def _noises(charge: Charge) -> list[str]:
    return [
        f"{release.what}: {release.kind}, variance {release.variance:g} steps"
        if isinstance(release, SkellamRelease)
        else f"{release.what}: {release.kind}, multiplier {release.noise_multiplier:g}"
        for release in charge.releases
    ]


def _sampling_claim(ledger: Ledger) -> str:
    probabilities = {
        f"{release.sampling_probability:g}"
        for charge in ledger.charges
        for release in charge.releases
        if isinstance(release, PoissonGaussianRelease)
    }
    return ", ".join(sorted(probabilities)) or "none"
