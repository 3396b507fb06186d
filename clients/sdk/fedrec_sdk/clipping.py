"""The L2 bound on one report."""

import math

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.tensors import Tensors

_ONE_STEP_DOWN = 1.0 - 2.0**-23
"""Factor by which a float32 becomes about one unit in its last place smaller."""


def l2_norm(tensors: Tensors) -> float:
    """L2 norm over all elements of all tensors together, accumulated in float64."""
    # Not a dot product: its rounding would depend on the BLAS library and on its number of threads.
    return math.sqrt(sum(float(np.square(array, dtype=np.float64).sum()) for array in tensors.values()))


def clip_report(tensors: Tensors, maximum_norm: float) -> dict[str, NDArray[np.float32]]:
    """Scale an update down to the bound, as in DP-SGD (Abadi et al. 2016, https://arxiv.org/abs/1607.00133).

    An update within the bound is returned as it is. A longer one keeps its direction: every element is
    multiplied in float64 by maximum_norm / norm and rounded to float32; should the roundings add up
    to a norm above the bound, the factor becomes smaller by 2**-23 until they do not.

    Args:
        tensors: The update, any shapes, finite, float32 or float64.
        maximum_norm: Bound on the L2 norm of all tensors together, in parameter units.

    Returns:
        Tensors of the same names and shapes, float32, with norm at most `maximum_norm` in float64.
    """
    update = {name: array.astype(np.float32, copy=False) for name, array in tensors.items()}
    norm = l2_norm(update)
    if norm <= maximum_norm:
        return update
    factor = maximum_norm / norm
    while l2_norm(clipped := _scaled(tensors, factor)) > maximum_norm:
        factor *= _ONE_STEP_DOWN
    return clipped


def _scaled(tensors: Tensors, factor: float) -> dict[str, NDArray[np.float32]]:
    return {name: (array * np.float64(factor)).astype(np.float32) for name, array in tensors.items()}
