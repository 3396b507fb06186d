"""Bases of few columns that each round improves: subspace iteration on a matrix that nobody ever forms.

Halko, Martinsson and Tropp 2011, https://arxiv.org/abs/0909.4061, section 4.4: the sum of what people report, a matrix
of items x items times the basis, spans a better basis. Items are damped by their number of people, or a few
popular ones would fill it.
"""

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.tensors import DType, Initialiser, InitialiserKind, TensorSpec

BASIS = "basis"


def random_basis(number_of_items: int, dimension: int) -> TensorSpec:
    """The shared basis, which the first round takes as it is drawn; no more columns than there are items."""
    shape = (number_of_items, min(dimension, number_of_items))
    random = Initialiser(kind=InitialiserKind.NORMAL, scale=0.5 / number_of_items**0.5)
    return TensorSpec(name=BASIS, dtype=DType.F16, shape=shape, init=random)


def next_basis(sketch: NDArray[np.float64], damping: NDArray[np.float64]) -> NDArray[np.float64]:
    """Orthonormal columns that span the sketch, with its rows multiplied by `damping`.

    Args:
        sketch: The matrix times the basis, shape (number_of_items, dimension).
        damping: Shape (number_of_items, 1).
    """
    basis, _ = np.linalg.qr(sketch * damping)
    return basis


def leading_basis(
    sketch: NDArray[np.float64], damping: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """As `next_basis`, turned so that each column has one length of the sketch, and those lengths.

    Once rounds have converged, columns are eigenvectors of the matrix and lengths their eigenvalues.

    Args:
        sketch: The matrix times the basis, shape (number_of_items, dimension).
        damping: Shape (number_of_items, 1).

    Returns:
        The basis, shape of `sketch`, and the lengths, shape (dimension,), the largest first.
    """
    basis, triangle = np.linalg.qr(sketch * damping)
    turn, lengths, _ = np.linalg.svd(triangle)
    return basis @ turn, lengths
