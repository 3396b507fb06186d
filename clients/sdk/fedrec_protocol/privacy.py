"""What a task manifest promises about privacy."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, PositiveFloat, Tag

from fedrec_protocol.base import Message


class AdaptiveClipping(Message):
    """The clipping norm follows a quantile of the update norms, from one noisy bit a report.

    Andrew et al. 2021, https://arxiv.org/abs/1905.03871. The bit says whether a report was shortened; the sum of
    the bits is released with noise, and charged beside the model's sum.
    """

    initial_norm: PositiveFloat
    """Clipping norm of the first round, in parameter units; `report.maximum_norm` is the largest there will be."""
    target_unclipped: float = Field(default=0.5, gt=0, lt=1)
    """Fraction of updates that should not be clipped: the quantile that is followed."""
    learning_rate: float = Field(default=0.2, gt=0, le=2)
    """Step in the logarithm of the norm."""
    count_noise: PositiveFloat
    """Standard deviation of the noise on the count of clipped reports, in participants."""


class CorrelatedNoise(Message):
    """Each round's noise takes back part of the noise of the rounds before: far less of it stays in the model.

    The strategy matrix is the banded square root of the running sum, whose coefficients are known in closed form.
    A user's two rounds must lie at least as many rounds apart as there are bands (Choquette-Choo et al. 2023,
    https://arxiv.org/abs/2306.08153): `rounds.minimum_separation` says so, and the scheduler keeps to it.
    """

    bands: int = Field(ge=2, le=1000)
    """Rounds over which noise is correlated; the server keeps as many noise vectors, less one."""


class PoissonSampling(Message):
    """The server flips a coin for every enrolled participant in every round, and asks those it falls on.

    Only then is amplification by sampling claimed. A round waits for all who were drawn until its deadline; who was
    not drawn cannot report.
    """

    probability: float = Field(gt=0, le=1)
    """Of the coin."""


class CentralPrivacy(Message):
    """User-level differential privacy, with noise that the server adds to each round's sum.

    The unit is one user with everything that user ever reports; neighbouring data sets differ by adding or
    removing one user. The mean's denominator is the aggregation goal, a public constant. No amplification by
    sampling is claimed, unless the server samples.
    """

    mechanism: Literal["central"] = "central"
    """The server is trusted to add the noise, and not to keep the sum."""
    noise_multiplier: PositiveFloat
    """Standard deviation of the noise on the model's sum divided by the clipping norm."""
    noise_schedule: tuple[PositiveFloat, ...] = Field(default=(), max_length=1000)
    """Noise multipliers of the first training rounds, where they differ: a cheap first look, a dear last one."""
    metrics_noise_multiplier: PositiveFloat | None = None
    """The same for the sums of metrics; required when the task has metrics, for they are released too."""
    correlated: CorrelatedNoise | None = None
    """How the noise of one round depends on that of the rounds before; null: not at all."""
    sampling: PoissonSampling | None = None
    """How the server draws each round's participants; null: whoever checks in, and nothing is claimed of it."""
    clipping: AdaptiveClipping | None = None
    """Adaptive clipping; null means that the clipping norm is the report format's `maximum_norm` in every round."""
    budget_epsilon: PositiveFloat
    """No round opens that would bring epsilon above this."""
    target_delta: float = Field(gt=0, lt=1)
    """The delta at which epsilon is stated; well below one divided by the number of users."""

    def multiplier_of(self, training_rounds: int) -> float:
        """Noise multiplier of the training round that follows so many published ones."""
        return (
            self.noise_schedule[training_rounds]
            if training_rounds < len(self.noise_schedule)
            else self.noise_multiplier
        )

    @property
    def largest_multiplier(self) -> float:
        """Of all training rounds."""
        return max((self.noise_multiplier, *self.noise_schedule))


class DistributedPrivacy(Message):
    """User-level differential privacy with Skellam noise inside secure aggregation: no sum exists without it.

    Each participant adds its part to its integers before they are masked, so the operator need not be trusted with
    the noise. What counts is the noise of the survivors that must be there and do not collude; nothing is claimed
    of sampling. Neighbouring data sets differ by zeros in place of one user's updates: that a user took part can be
    told from the noise that the user brought. Agarwal, Kairouz and Liu 2021, https://arxiv.org/abs/2110.04995.
    """

    mechanism: Literal["distributed"] = "distributed"
    """Participants add the noise."""
    noise_multiplier: PositiveFloat
    """Standard deviation of the noise that counts, on the model's sum, divided by the clipping norm."""
    colluding_share: float = Field(ge=0, lt=0.5)
    """Largest share of the fewest survivors who may collude with the operator: their noise is not counted."""
    budget_epsilon: PositiveFloat
    """No round opens that would bring epsilon above this."""
    target_delta: float = Field(gt=0, lt=1)
    """The delta at which epsilon is stated; well below one divided by the number of users."""


class LocalPrivacy(Message):
    """Each participant's report is private by itself: noise for replacing it by any other is added on the device.

    Nobody is trusted with anything, and the sum of n reports has sqrt(n) times the noise of one.
    """

    mechanism: Literal["local"] = "local"
    """Each participant adds the noise of a whole report."""
    noise_multiplier: PositiveFloat
    """Standard deviation of the noise on one report divided by twice the clipping norm."""
    budget_epsilon: PositiveFloat
    """No round opens that would bring epsilon above this."""
    target_delta: float = Field(gt=0, lt=1)
    """The delta at which epsilon is stated; well below one divided by the number of users."""


def _mechanism(value: Any) -> str:
    """Which policy a manifest states; `central` where it does not say."""
    found = value.get("mechanism", "central") if isinstance(value, dict) else getattr(value, "mechanism", "central")
    return str(found)


Privacy = Annotated[
    Annotated[CentralPrivacy, Tag("central")]
    | Annotated[DistributedPrivacy, Tag("distributed")]
    | Annotated[LocalPrivacy, Tag("local")],
    Discriminator(_mechanism),
]
"""What a manifest may promise."""
