"""The discrete Gaussian on the integer sum of a round: how wide it is, and when its grid is too coarse."""

import math
from dataclasses import dataclass

from fedrec_protocol.noise.discrete_gaussian import MAXIMUM_VARIANCE

MINIMUM_DEVIATION_STEPS = 50
"""From here on the discrete Gaussian's privacy loss is the continuous one's, to all digits that are stated."""


class GridTooCoarse(ValueError):
    """The noise would span too few grid steps for the Gaussian's price to hold."""


class GridTooFine(ValueError):
    """The noise would span more grid steps than the sampler reaches."""


@dataclass(frozen=True)
class NoisePlan:
    """The noise of one release, on the integer grid of its round."""

    sensitivity_steps: int
    """L2 bound on one participant's integer vector."""
    noise_multiplier: float
    """Noise standard deviation divided by the sensitivity."""

    @property
    def variance_steps(self) -> int:
        """The discrete Gaussian's squared scale: rounded up, so that the noise is never below what is charged.

        Raises:
            GridTooCoarse, GridTooFine: a standard deviation below 50 grid steps, or above 2**40.
        """
        variance = math.ceil((self.noise_multiplier * self.sensitivity_steps) ** 2)
        require_drawable(variance)
        return variance


def require_drawable(variance_steps: int) -> None:
    """Refuse noise whose price would not hold on its grid, or that the sampler does not reach.

    Raises:
        GridTooCoarse: a standard deviation below 50 grid steps.
        GridTooFine: one above 2**40.
    """
    if variance_steps < MINIMUM_DEVIATION_STEPS**2:
        raise GridTooCoarse(
            f"noise of {math.sqrt(variance_steps):.1f} grid steps; at least {MINIMUM_DEVIATION_STEPS} are needed: "
            "use more value bits or more noise"
        )
    if variance_steps > MAXIMUM_VARIANCE:
        raise GridTooFine(
            f"noise of {math.sqrt(variance_steps):.3g} grid steps, and at most 2^40 can be drawn: use less noise, or a "
            "smaller report.maximum_evaluations"
        )
