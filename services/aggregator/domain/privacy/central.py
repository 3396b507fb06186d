"""DP-FedAvg: Gaussian noise on the integer sum of a round, divided by a public constant."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.noise.discrete_gaussian import discrete_gaussian
from fedrec_protocol.noise.random_bits import RandomBits

MINIMUM_DEVIATION_STEPS = 50
"""From here on the discrete Gaussian's privacy loss is the continuous one's, to all digits that are stated."""


class GridTooCoarse(ValueError):
    """The noise would span too few grid steps for the Gaussian's price to hold."""


class BelowMinimumReports(ValueError):
    """Fewer reports than the floor agreed with participants: nothing is released."""


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
            GridTooCoarse: a standard deviation below 50 grid steps.
        """
        variance = math.ceil((self.noise_multiplier * self.sensitivity_steps) ** 2)
        if variance < MINIMUM_DEVIATION_STEPS**2:
            raise GridTooCoarse(
                f"noise of {math.sqrt(variance):.1f} grid steps; at least {MINIMUM_DEVIATION_STEPS} are needed: "
                "use more value bits or more noise"
            )
        return variance


def private_mean(
    total_steps: NDArray[np.int64],
    *,
    fraction_bits: int,
    report_count: int,
    minimum_reports: int,
    aggregation_goal: int,
    plan: NoisePlan,
    bits: RandomBits,
) -> NDArray[np.float64]:
    """Release a round's mean update under central differential privacy.

    Adds discrete Gaussian noise once, to the integer sum; neighbouring rounds differ by adding or removing one
    user's report. The denominator is the goal, a public constant: dividing by `report_count` would make the
    scale depend on who took part. McMahan et al. 2018, https://arxiv.org/abs/1710.06963.

    Args:
        total_steps: Sum of clipped, equally weighted updates, in grid steps, shape (d,).
        fraction_bits: f; one grid step is 2**-f.
        report_count: Reports in the sum.
        minimum_reports: The floor.
        aggregation_goal: The public denominator.
        plan: Sensitivity and noise multiplier.
        bits: Where randomness comes from.

    Returns:
        float64, shape (d,), in parameter units.

    Raises:
        BelowMinimumReports: fewer reports than the floor.
        GridTooCoarse: noise below 50 grid steps.
    """
    if report_count < minimum_reports:
        raise BelowMinimumReports(f"{report_count} of {minimum_reports}")
    noisy = total_steps + discrete_gaussian(plan.variance_steps, len(total_steps), bits)
    return np.ldexp(noisy.astype(np.float64), -fraction_bits) / aggregation_goal
