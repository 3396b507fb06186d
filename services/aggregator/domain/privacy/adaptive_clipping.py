"""Adaptive clipping: the clipping norm follows a quantile of the update norms, found privately.

Andrew, Thakkar, McMahan and Ramaswamy 2021, https://arxiv.org/abs/1905.03871. Each report carries one bit, whether
it was clipped; the sum of the bits gets its own noise.
"""

import math
from dataclasses import dataclass

from fedrec_protocol.noise.discrete_gaussian import discrete_gaussian
from fedrec_protocol.noise.random_bits import RandomBits

_COUNT_FRACTION_BITS = 16
"""Counts are noised on a grid of 2**-16, so that noise of a fraction of a participant is Gaussian still."""


@dataclass(frozen=True)
class AdaptiveClipping:
    """How the clipping norm moves from round to round."""

    target_unclipped: float = 0.5
    """Fraction of updates that should not be clipped: the quantile that is followed."""
    learning_rate: float = 0.2
    """Step in the logarithm of the norm."""
    count_noise: float = 5.0
    """Standard deviation of the noise on the count of clipped reports, in participants."""

    def next_norm(self, norm: float, noisy_clipped: float, aggregation_goal: int) -> float:
        """The next round's clipping norm: C * exp(-eta * (unclipped - target))."""
        unclipped = 1 - noisy_clipped / aggregation_goal
        return norm * math.exp(-self.learning_rate * (min(max(unclipped, 0.0), 1.0) - self.target_unclipped))

    def noisy_count(self, clipped: int, bits: RandomBits) -> float:
        """The count of clipped reports with its noise; adding or removing a user changes it by at most one."""
        variance = math.ceil(math.ldexp(self.count_noise, _COUNT_FRACTION_BITS) ** 2)
        noise = int(discrete_gaussian(variance, 1, bits)[0])
        return clipped + math.ldexp(noise, -_COUNT_FRACTION_BITS)

    def model_multiplier(self, combined: float) -> float:
        """Noise multiplier of the model's sum such that both releases together cost `combined`.

        z**-2 = combined**-2 - count_noise**-2.

        Raises:
            ValueError: the count alone costs more.
        """
        left = 1 / combined**2 - 1 / self.count_noise**2
        if left <= 0:
            raise ValueError(f"a count noise of {self.count_noise} costs more than a multiplier of {combined} allows")
        return 1 / math.sqrt(left)
