"""The privacy statement of a model version: for machines, and in words a lawyer and an engineer can read."""

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
    neighbouring: Literal["add-or-remove-one-user"] = "add-or-remove-one-user"
    """Which two data sets are hard to tell apart."""
    mechanism: Mechanism
    """How."""
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
        """The statement as a paragraph."""
        mechanism, cap = self.mechanism, self.maximum_participations
        times = "in any number of rounds" if cap is None else f"in at most {cap} rounds"
        who = {
            NoiseBy.SERVER: "The operator's server adds the noise and is trusted to do so",
            NoiseBy.PARTICIPANTS: "The participants add the noise, inside sums that the server cannot open",
            NoiseBy.EACH_PARTICIPANT: "Each participant adds noise to its own report before it leaves the device",
        }[mechanism.noise_by]
        if mechanism.colluding_share:
            who += f"; the noise of {mechanism.colluding_share:.0%} of them, who may collude, is not counted"
        sees = "sums" if mechanism.is_secure_aggregation else "single reports, and publishes sums"
        moves = ", a bound that followed noisy counts of longer updates" if mechanism.is_adaptive_clipping else ""
        claim = (
            "No benefit of random sampling is claimed."
            if self.sampling_claim == "none"
            else f"The server drew each round's participants by a coin of probability {self.sampling_claim}."
        )
        return (
            f"Everything published up to this version is (epsilon = {self.epsilon:.2f}, delta = {self.delta:g}) "
            f"differentially private for each user: whether or not one person took part, {times}, with whatever "
            f"data, any conclusion drawn from the published models is at most exp({self.epsilon:.2f}) times as "
            f"likely, except with probability about {self.delta:g}. One person's update has a length of at most "
            f"{mechanism.clipping_norm:g}{moves}. {who}. The server sees {sees} of at least "
            f"{mechanism.minimum_reports}. {claim} No round is opened that would bring epsilon above "
            f"{self.budget_epsilon:g}."
        )


def privacy_statement(ledger: Ledger, mechanism: Mechanism) -> PrivacyStatement:
    """The statement for a version that was released with the ledger's last charge."""
    return PrivacyStatement(
        mechanism=mechanism,
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
