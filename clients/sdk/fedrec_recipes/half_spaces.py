"""How far a history lies beyond random hyperplanes: what bends the next-item model of `blend`.

The first model gives every item a point. A history is seen as the directions of its points when only the newest
count, when recent ones do, and when all do. For each of many random hyperplanes a device measures how deep in the
half-space beyond it these lie; outside of it the depth is zero. Such depths are the random features of an arc-cosine
kernel (Cho and Saul, Kernel methods for deep learning, NIPS 2009), rounded to 0, 1, 2 or 3 so that sums are exact and
small. As columns beside the items they let the regression of `slit` say what several items mean together.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.tensors import DType, Initialiser, InitialiserKind, Tensors, TensorSpec
from fedrec_recipes.contexts import Rows, recent_contexts
from fedrec_recipes.packed import packed_size, unpack, upper_triangle
from fedrec_recipes.slit import AFTER_NEXT, NEWEST_WEIGHT, NEXT
from fedrec_recipes.statistics_recipe import Totals

ITEM_POINTS = "item_points"
HYPERPLANES = "hyperplanes"
DEPTH_GRAM = "depth_gram"
CONTEXT_DEPTHS = "context_depths"
NEXT_DEPTHS = "next_depths"

DIMENSION = 64
"""Of the items' points."""

DEEPEST = 3
"""Depths of more count as so many."""

MOST_SQUARES = 1024
"""Sum of squared depths that a person reports, as a multiple of the half-spaces. Contexts before the last ones that
stay within it have no depths, mostly some 600 of them. It bounds the norm of a report."""

_NEWEST = (1.0 + np.arange(10)) ** -3.0
_RECENT = 1 / (1 + np.arange(100) / 2)
_DIRECTIONS = 3

_ITERATIONS = 3
_SPARE_COLUMNS = 8


def shared_half_spaces(number_of_items: int, half_spaces: int) -> tuple[TensorSpec, TensorSpec]:
    """The items' points, zeros until there is a model, and the hyperplanes, which stay as they are drawn."""
    dimension = min(DIMENSION, number_of_items)
    normal = Initialiser(kind=InitialiserKind.NORMAL, scale=1.0)
    return (
        TensorSpec(name=ITEM_POINTS, dtype=DType.F16, shape=(number_of_items, dimension)),
        TensorSpec(name=HYPERPLANES, dtype=DType.F16, shape=(_DIRECTIONS * dimension + 1, half_spaces), init=normal),
    )


def reported_depths(number_of_items: int, half_spaces: int) -> tuple[TensorSpec, TensorSpec, TensorSpec]:
    """Sums over contexts: depths times depths (packed), items times depths, and next items times depths."""
    shape = (number_of_items, half_spaces)
    return (
        TensorSpec(name=DEPTH_GRAM, dtype=DType.I32, shape=(packed_size(half_spaces),)),
        TensorSpec(name=CONTEXT_DEPTHS, dtype=DType.I16, shape=shape),
        TensorSpec(name=NEXT_DEPTHS, dtype=DType.I8, shape=shape),
    )


def largest_norm_of_depths(half_spaces: int, context_weights: NDArray[np.int64], longest: int) -> float:
    """L2 norm that the sums of no history exceed.

    Where squared depths add up to s, their Gram matrix is no longer than s, and its diagonal than the root of s times
    one half-space's share of s; a packed matrix has what is off the diagonal once. What is weighted and summed is no
    longer than the root of s times the sum of the weights (Young's inequality).
    """
    of_one = DEEPEST**2 * longest
    squares = half_spaces * min(MOST_SQUARES, of_one)
    gram = squares * (squares + of_one) / 2
    return float((gram + squares * (float(context_weights.sum()) ** 2 + (NEXT + AFTER_NEXT) ** 2)) ** 0.5)


def has_points(base: Tensors) -> bool:
    """Whether a model has given the items their points."""
    return bool(base[ITEM_POINTS].any())


def depths_of(base: Tensors, items: NDArray[np.int64]) -> NDArray[np.float32]:
    """How deep a history is in each half-space after each of its items, shape (len(items), half-spaces)."""
    points = base[ITEM_POINTS][items].astype(np.float32)
    seen = (_sums_up_to(points, _NEWEST), _sums_up_to(points, _RECENT), np.cumsum(points, axis=0))
    inputs = np.concatenate([*(_directions(each) for each in seen), np.ones((len(items), 1), np.float32)], axis=1)
    return np.asarray(np.clip(np.rint(inputs @ base[HYPERPLANES].astype(np.float32)), 0, DEEPEST), dtype=np.float32)


def add_depths(
    totals: dict[str, NDArray[Any]], base: Tensors, items: NDArray[np.int64], context_weights: NDArray[np.int64]
) -> None:
    """Add one person's contexts, as `slit` has them, and their depths.

    Args:
        totals: Tensors of `reported_depths` by name.
        base: The version that the round started from, with points.
        items: The history without repeats.
        context_weights: Integer weights of a context, newest item first.
    """
    depths = depths_of(base, items[:-1])  # float32 holds sums of small whole numbers exactly, and multiplies fast
    squares = np.cumsum((depths[::-1] ** 2).sum(axis=1, dtype=np.float64))[::-1]
    depths[squares > MOST_SQUARES * depths.shape[1]] = 0
    gram = (depths.T @ depths).ravel()[upper_triangle(depths.shape[1])]
    totals[DEPTH_GRAM] += gram.astype(totals[DEPTH_GRAM].dtype)
    # What is ahead of an item is what is behind it, read backwards.
    contexts = _sums_up_to(depths[::-1], context_weights)[::-1]
    totals[CONTEXT_DEPTHS][items[:-1]] += contexts.astype(totals[CONTEXT_DEPTHS].dtype)
    following = NEXT * depths
    following[1:] += AFTER_NEXT * depths[:-1]
    totals[NEXT_DEPTHS][items[1:]] += following.astype(totals[NEXT_DEPTHS].dtype)


def solve_with_depths(
    gram: NDArray[np.float64], following: NDArray[np.float64], totals: Totals, regularisation: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The ridge regression of next items on a context's items and depths together.

    Args:
        gram: S + λ I of `slit`, shape (number_of_items, number_of_items).
        following: C of `slit`, same shape.
        totals: Sums of `reported_depths`.
        regularisation: λ of the depths.

    Returns:
        Weights of items, shape (number_of_items, number_of_items), and of depths, (half-spaces, number_of_items).
    """
    items, half_spaces = totals[CONTEXT_DEPTHS].shape
    across = totals[CONTEXT_DEPTHS] / NEWEST_WEIGHT
    of_depths = unpack(totals[DEPTH_GRAM], half_spaces)
    of_depths[np.diag_indices_from(of_depths)] += regularisation
    whole = np.block([[gram, across], [across.T, of_depths]])
    weights = np.linalg.solve(whole, np.concatenate([following, totals[NEXT_DEPTHS].T / NEXT]))
    return weights[:items], weights[items:]


def points_of(weights: NDArray[np.floating]) -> NDArray[np.float16]:
    """Points in which items are close that say alike of others: leading left singular vectors, by root of their values.

    Subspace iteration, Halko, Martinsson and Tropp 2011, https://arxiv.org/abs/0909.4061, section 4.4.

    Args:
        weights: Of a linear model, shape (number_of_items, number_of_items).
    """
    wide = np.asarray(weights, dtype=np.float32)
    items = len(wide)
    basis = np.random.default_rng(0).standard_normal((items, min(DIMENSION + _SPARE_COLUMNS, items)))
    for _ in range(_ITERATIONS):
        left, _ = np.linalg.qr(wide @ basis)
        basis, _ = np.linalg.qr(wide.T @ left)
    vectors, values, _ = np.linalg.svd(wide @ basis, full_matrices=False)
    leading = min(DIMENSION, items)
    return np.asarray(vectors[:, :leading] * np.sqrt(values[:leading]), dtype=np.float16)


def _sums_up_to(rows: Rows, weights: NDArray[Any]) -> Rows:
    """For each row the weighted sum of it and those before it, newest first."""
    beyond = np.zeros((1, rows.shape[1]), dtype=np.float32)
    return recent_contexts(np.concatenate([rows, beyond]), weights)


def _directions(rows: Rows) -> Rows:
    """Rows of length 1; those of length 0 stay."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), dtype=np.float32)
