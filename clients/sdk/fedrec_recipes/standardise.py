"""Scores of different models on one scale, so that they can be added up."""

import numpy as np
from numpy.typing import NDArray


def standardised(scores: NDArray[np.floating]) -> NDArray[np.float32]:
    """Mean 0 and standard deviation 1 over the items; constant scores become zeros."""
    centred = scores - scores.mean()
    deviation = float(centred.std())
    return np.asarray(centred / deviation if deviation > 0 else centred, dtype=np.float32)
