"""Means over people that travel as deltas: statistics beside parameters in one federated average."""

import numpy as np
from numpy.typing import NDArray


def running_mean_delta(base: NDArray[np.floating], observed: NDArray[np.floating], rate: float) -> NDArray[np.float64]:
    """What one person reports so that the federated average moves towards the mean of what people observe.

    Averaging base + rate * (observed - base) over a cohort gives base + rate * (mean observed - base).
    The first round (a base of zeros) takes the cohort's mean as it is. With a `rate` below 1 the
    later rounds average over cohorts too, which small cohorts need.

    Args:
        base: The shared tensor, the mean so far.
        observed: The person's own value, same shape.
        rate: Weight of the newest cohort, in (0, 1].
    """
    is_first = not base.any()
    return (1.0 if is_first else rate) * (observed.astype(np.float64) - base)
