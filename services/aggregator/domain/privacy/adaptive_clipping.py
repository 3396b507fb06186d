"""Adaptive clipping: the clipping norm follows a quantile of the update norms, found privately.

Andrew, Thakkar, McMahan and Ramaswamy 2021, https://arxiv.org/abs/1905.03871.
"""

import math

from fedrec_protocol.privacy import AdaptiveClipping

SMALLEST_SHARE = 2.0**-10
"""The norm stays above this part of the largest: below it the grid would be too coarse for the noise."""


class CountNoiseTooSmall(ValueError):
    """The noise on the count of clipped reports leaves none of the budget to the model."""


def next_norm(clipping: AdaptiveClipping, norm: float, noisy_clipped: float, *, goal: int, largest: float) -> float:
    """The next round's clipping norm: C * exp(-eta * (unclipped - target)), within its bounds.

    Args:
        clipping: Target and learning rate.
        norm: This round's norm C.
        noisy_clipped: The count of clipped reports, with its noise.
        goal: The aggregation goal, the public denominator.
        largest: The manifest's `maximum_norm`.
    """
    unclipped = min(max(1 - noisy_clipped / goal, 0.0), 1.0)
    moved = norm * math.exp(-clipping.learning_rate * (unclipped - clipping.target_unclipped))
    return min(max(moved, largest * SMALLEST_SHARE), largest)


def model_multiplier(combined: float, count_noise: float) -> float:
    """Noise multiplier of the model's sum such that it and the clip count together cost `combined`.

    z**-2 = combined**-2 - count_noise**-2.

    Raises:
        CountNoiseTooSmall: the count alone costs more.
    """
    left = 1 / combined**2 - 1 / count_noise**2
    if left <= 0:
        raise CountNoiseTooSmall(f"count noise {count_noise} costs more than a multiplier of {combined:.3f} allows")
    return 1 / math.sqrt(left)
