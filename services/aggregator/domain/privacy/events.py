"""What was released, described apart from who prices it: frozen, and stored with every round."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from fedrec_protocol.base import Message


class GaussianRelease(Message):
    """A sum with Gaussian noise, of whoever checked in: no amplification by sampling is claimed.

    Also a round of local privacy: a release of each participant's own report with that noise.
    """

    kind: Literal["gaussian"] = "gaussian"
    """Which release this is."""
    what: str = "model"
    """What was summed: `model`, `clip-count`, `metrics`."""
    noise_multiplier: PositiveFloat
    """Noise standard deviation divided by the L2 sensitivity of the sum to one user's report."""


class PoissonGaussianRelease(Message):
    """A Gaussian sum over a cohort for which the server flipped a coin for every enrolled participant."""

    kind: Literal["poisson-gaussian"] = "poisson-gaussian"
    """Which release this is."""
    what: str = "model"
    """What was summed."""
    noise_multiplier: PositiveFloat
    """Noise standard deviation divided by the L2 sensitivity."""
    sampling_probability: float = Field(gt=0, le=1)
    """Probability of the coin."""
    population: PositiveInt | None = None
    """Enrolled participants; stated where the cohort is capped."""
    maximum_cohort: PositiveInt | None = None
    """Size above which a random part of the cohort was taken; null for no cap."""


class CorrelatedGaussianRelease(Message):
    """One step of a Gaussian matrix mechanism: the noise of later steps takes back that of earlier ones."""

    kind: Literal["correlated-gaussian"] = "correlated-gaussian"
    """Which release this is."""
    what: str = "model"
    """What was summed."""
    noise_multiplier: PositiveFloat
    """Standard deviation of the fresh noise of each step divided by the clipping norm."""
    coefficients: tuple[float, ...] = Field(min_length=1)
    """First column of the lower-triangular, banded Toeplitz strategy matrix C; the first is 1."""


class SkellamRelease(Message):
    """A sum inside secure aggregation to which each of at least U_min survivors added Skellam noise."""

    kind: Literal["skellam"] = "skellam"
    """Which release this is."""
    what: str = "model"
    """What was summed."""
    variance: PositiveFloat
    """Total variance that U_min survivors add, in squared grid steps."""
    l2_steps: PositiveFloat
    """L2 sensitivity in grid steps."""
    l1_steps: PositiveFloat
    """L1 sensitivity in grid steps; at most sqrt(coordinates) * l2_steps, and at most l2_steps squared."""


Release = Annotated[
    GaussianRelease | PoissonGaussianRelease | CorrelatedGaussianRelease | SkellamRelease,
    Field(discriminator="kind"),
]
"""Anything that may be charged to a ledger."""


class Charge(Message):
    """What one attempt at one round releases. A re-run that draws fresh noise is another charge."""

    charge_id: str
    """Opaque and unique: the attempt that draws the noise."""
    round_number: PositiveInt
    """Number of the round in its lineage."""
    releases: tuple[Release, ...] = Field(min_length=1)
    """Everything that the attempt publishes about its participants."""
