"""The pairwise loss of BPR, -log sigmoid(lead), where the lead is a chosen item's score less that of another."""

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
Matrix = NDArray[np.float32]

_STEPS = 8
_ROWS_AT_ONCE = 64
"""Chosen items whose pairs are in memory together: few enough for the cache."""


def solve(differences: Matrix, leads: Vector, *, regularisation: float) -> Vector:
    """The vector p that makes the mean loss of leads + differences @ p, plus the penalty, smallest; to a few digits.

    The Hessian is at most a quarter of the mean outer product of the differences; steps of the inverse of that bound
    never overshoot (Böhning and Lindsay 1988, https://doi.org/10.1007/BF00049423).

    Args:
        differences: Embedding of the chosen item less that of the other, shape (pairs, dimension).
        leads: The same of their biases, shape (pairs,).
        regularisation: Factor of |p|^2 / 2.

    Returns:
        Shape (dimension,); zero if there are no pairs.
    """
    vector: Vector = np.zeros(differences.shape[1], dtype=np.float32)
    if len(leads) == 0:
        return vector
    ridge = np.float32(regularisation)
    bound = differences.T @ differences / np.float32(4 * len(leads))
    bound[np.diag_indices_from(bound)] += ridge
    inverse = np.linalg.inv(bound)
    for _ in range(_STEPS):
        wrong = _wrong(leads + differences @ vector) / np.float32(len(leads))
        vector -= inverse @ (ridge * vector - wrong @ differences)
    return vector


def gradient_by_scores(scores: Vector, chosen: NDArray[np.int64]) -> tuple[Vector, Vector]:
    """The mean loss over all pairs of a chosen item and another one, differentiated by the scores.

    Args:
        scores: Of all items, shape (number_of_items,).
        chosen: The person's items.

    Returns:
        The gradient, and the share of its side's pairs that each item is in, both of shape (number_of_items,); zeros
        where there is no pair.
    """
    is_chosen = np.zeros(len(scores), dtype=np.bool_)
    is_chosen[chosen] = True
    own, others = np.flatnonzero(is_chosen), np.flatnonzero(~is_chosen)
    gradient, compared = np.zeros_like(scores), np.zeros_like(scores)
    if len(own) == 0 or len(others) == 0:
        return gradient, compared
    of_others = scores[others]
    pairs = np.float32(2 * len(own) * len(others))
    for start in range(0, len(own), _ROWS_AT_ONCE):
        rows = own[start : start + _ROWS_AT_ONCE]
        # sigmoid(-lead) is (1 - tanh(lead / 2)) / 2; tanh in place takes an eighth of the time.
        halves = np.float32(0.5) * (scores[rows][:, None] - of_others)
        np.tanh(halves, out=halves)
        gradient[rows] = (halves.sum(axis=1) - np.float32(len(others))) / pairs
        gradient[others] += (np.float32(len(rows)) - halves.sum(axis=0)) / pairs
    compared[own], compared[others] = 1.0 / len(own), 1.0 / len(others)
    return gradient, compared


def _wrong(leads: Vector) -> Vector:
    """sigmoid(-lead): how much of the loss's slope is left."""
    return np.asarray(0.5 - 0.5 * np.tanh(0.5 * leads), dtype=np.float32)
