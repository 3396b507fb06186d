"""Implicit feedback with all items as evidence: the algebra that the matrix factorisations share.

The objective over users u and items i is that of iALS with a uniform weight on what was not observed
(Rendle et al. 2022, https://arxiv.org/abs/2110.14037, eq. 3; Hu et al. 2008):

    sum_{observed (u, i)} (1 - p_u . q_i)^2  +  w sum_{all (u, i)} (p_u . q_i)^2
      +  r sum_u (n_u + w I) |p_u|^2  +  r sum_i (n_i + w U) |q_i|^2

with w `unobserved_weight`, r `regularisation`, n_u and n_i numbers of interactions, I items and U users.
"""

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt

from fedrec_recipes.recipe import RecipeConfig

Array = NDArray[np.float64]


class ImplicitConfig(RecipeConfig):
    """Hyperparameters of the objective."""

    dimension: PositiveInt = 16
    """Length of item embeddings and user vectors."""
    unobserved_weight: PositiveFloat = 0.3
    """w, the weight of an item not chosen relative to a chosen one."""
    regularisation: PositiveFloat = 0.01
    """r, the L2 penalty."""


def solve_user_vector(
    item_embeddings: NDArray[np.floating],
    items: NDArray[np.int64],
    *,
    unobserved_weight: float,
    regularisation: float,
) -> Array:
    """The user vector that minimises the objective for one person, in closed form.

    Args:
        item_embeddings: q, shape (number_of_items, dimension).
        items: The person's items, shape (n_u,); none gives the zero vector.
        unobserved_weight: w.
        regularisation: r.

    Returns:
        p_u, shape (dimension,).
    """
    table = np.asarray(item_embeddings, dtype=np.float64)
    weights = {"unobserved_weight": unobserved_weight, "regularisation": regularisation}
    return solve_vector(table.T @ table, table[items], len(table), **weights)


def solve_vector(
    gram: Array, observed: Array, number_of_others: int, *, unobserved_weight: float, regularisation: float
) -> Array:
    """The vector of one person, or one item, that minimises the objective for given vectors of the other side.

    Args:
        gram: Sum of outer products of the other side's vectors, shape (dimension, dimension).
        observed: Those that it was observed with, shape (n, dimension).
        number_of_others: How many the other side has.
        unobserved_weight: w.
        regularisation: r.

    Returns:
        Shape (dimension,); zero if nothing was observed.
    """
    hessian = unobserved_weight * gram + observed.T @ observed
    hessian[np.diag_indices_from(hessian)] += regularisation * (len(observed) + unobserved_weight * number_of_others)
    return np.linalg.solve(hessian, observed.sum(axis=0))


def solve_vectors(
    gram: Array, others: Array, neighbours: list[NDArray[np.int64]], *, unobserved_weight: float, regularisation: float
) -> Array:
    """One half-step of alternating least squares: every vector of one side from those of the other.

    Args:
        gram: Sum of outer products of `others`, shape (dimension, dimension).
        others: Vectors of the other side, shape (m, dimension).
        neighbours: For each vector to solve, the indices of the others it was observed with.
        unobserved_weight: w.
        regularisation: r.

    Returns:
        The solved vectors, shape (len(neighbours), dimension).
    """
    solved = np.empty((len(neighbours), others.shape[1]))
    weights = {"unobserved_weight": unobserved_weight, "regularisation": regularisation}
    for row, observed in enumerate(neighbours):
        solved[row] = solve_vector(gram, others[observed], len(others), **weights)
    return solved
