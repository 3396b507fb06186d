"""Depths in half-spaces as columns of the next-item regression, against one context at a time."""

import numpy as np
import pytest

from fedrec_protocol.initialise import initial_parameters
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.half_spaces import (
    CONTEXT_DEPTHS,
    DEPTH_GRAM,
    HYPERPLANES,
    ITEM_POINTS,
    MOST_SQUARES,
    NEXT_DEPTHS,
    add_depths,
    depths_of,
    largest_norm_of_depths,
    points_of,
    reported_depths,
    shared_half_spaces,
    solve_with_depths,
)
from fedrec_recipes.packed import unpack

ITEMS, HALF_SPACES = 40, 16
WEIGHTS = np.array([32, 21, 16])
GENERATOR = np.random.default_rng(0)


def base(items: int = ITEMS, half_spaces: int = HALF_SPACES) -> Tensors:
    """Hyperplanes as a task draws them, and random points."""
    drawn = initial_parameters(shared_half_spaces(items, half_spaces), seed=1)
    points = np.random.default_rng(1).normal(size=drawn[ITEM_POINTS].shape)
    return {**drawn, ITEM_POINTS: points.astype(np.float16)}


def sums(items: np.ndarray, known: Tensors) -> dict[str, np.ndarray]:
    """One person's report."""
    specs = reported_depths(len(known[ITEM_POINTS]), known[HYPERPLANES].shape[1])
    totals = {spec.name: np.zeros(spec.shape, spec.dtype.numpy) for spec in specs}
    add_depths(totals, known, items, WEIGHTS)
    return totals


def direction(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector / np.linalg.norm(vector))


def test_a_depth_is_that_of_the_newest_the_recent_and_all_items_together() -> None:
    known, items = base(), GENERATOR.permutation(ITEMS)[:15]
    points, planes = known[ITEM_POINTS].astype(np.float64), known[HYPERPLANES].astype(np.float64)
    for place, depths in enumerate(depths_of(known, items)):
        seen = [(points[item], age) for age, item in enumerate(items[place::-1])]
        newest = direction(sum(point / (1 + age) ** 3 for point, age in seen if age < 10))
        recent = direction(sum(point / (1 + age / 2) for point, age in seen))
        everything = direction(sum(point for point, _ in seen))
        inputs = np.concatenate([newest, recent, everything, [1.0]])
        np.testing.assert_array_equal(depths, np.clip(np.round(inputs @ planes), 0, 3))


def test_reported_sums_are_those_of_one_context_at_a_time() -> None:
    known, items = base(), GENERATOR.permutation(ITEMS)[:15]
    depths = depths_of(known, items)
    gram = np.zeros((HALF_SPACES, HALF_SPACES))
    contexts, following = np.zeros((ITEMS, HALF_SPACES)), np.zeros((ITEMS, HALF_SPACES))
    for end in range(len(items) - 1):
        gram += np.outer(depths[end], depths[end])
        for age, weight in enumerate(WEIGHTS[: end + 1]):
            contexts[items[end - age]] += weight * depths[end]
        following[items[end + 1]] += 4 * depths[end]
        if end + 2 < len(items):
            following[items[end + 2]] += depths[end]
    report = sums(items, known)
    assert gram.any()
    np.testing.assert_array_equal(unpack(report[DEPTH_GRAM].astype(float), HALF_SPACES), gram)
    np.testing.assert_array_equal(report[CONTEXT_DEPTHS], contexts)
    np.testing.assert_array_equal(report[NEXT_DEPTHS], following)


@pytest.mark.parametrize("length", [0, 1])
def test_a_history_without_a_next_item_reports_no_depths(length: int) -> None:
    assert not any(values.any() for values in sums(np.arange(length), base()).values())


def deep_in_all(items: int) -> Tensors:
    """Hyperplanes far beyond which everything lies."""
    known = base(items)
    planes = np.zeros_like(known[HYPERPLANES])
    planes[-1] = 10.0
    return {**known, HYPERPLANES: planes}


def test_depths_are_three_at_most_and_only_the_last_contexts_of_a_long_history_have_them() -> None:
    items = np.arange(500)
    report = sums(items, deep_in_all(len(items)))
    contexts = MOST_SQUARES // 9
    assert set(report[DEPTH_GRAM].tolist()) == {9 * contexts}
    np.testing.assert_array_equal(np.flatnonzero(report[NEXT_DEPTHS].any(axis=1)), items[-contexts:])


@pytest.mark.parametrize("length", [ITEMS, 500])
def test_no_report_is_longer_than_the_bound_and_one_deep_in_all_half_spaces_nearly_is(length: int) -> None:
    report = sums(np.arange(length), deep_in_all(length))
    norm = sum(float((values.astype(float) ** 2).sum()) for values in report.values()) ** 0.5
    bound = largest_norm_of_depths(HALF_SPACES, WEIGHTS, length)
    assert 0.8 * bound < norm <= bound


def test_weights_are_a_ridge_regression_on_items_and_depths_together() -> None:
    contexts, depths = GENERATOR.normal(size=(200, 6)), GENERATOR.integers(4, size=(200, 4)).astype(float)
    targets = GENERATOR.normal(size=(200, 6))
    rows = np.concatenate([contexts, depths], axis=1)
    penalties = np.diag([5.0] * 6 + [7.0] * 4)
    expected = np.linalg.inv(rows.T @ rows + penalties) @ rows.T @ targets
    totals = {
        DEPTH_GRAM: (depths.T @ depths)[np.triu_indices(4)],
        CONTEXT_DEPTHS: 32 * contexts.T @ depths,
        NEXT_DEPTHS: 4 * targets.T @ depths,
    }
    of_items, of_depths = solve_with_depths(
        contexts.T @ contexts + 5.0 * np.eye(6), contexts.T @ targets, totals, regularisation=7.0
    )
    np.testing.assert_allclose(np.concatenate([of_items, of_depths]), expected, atol=1e-9)


def test_points_are_the_leading_singular_vectors_by_the_root_of_their_values() -> None:
    left, _ = np.linalg.qr(GENERATOR.normal(size=(100, 100)))
    right, _ = np.linalg.qr(GENERATOR.normal(size=(100, 100)))
    values = np.concatenate([np.linspace(4.0, 1.0, 64), np.full(36, 0.01)])
    points = points_of(left * values @ right.T).astype(float)
    expected = left[:, :64] * values[:64] @ left[:, :64].T  # the same for every sign of the vectors
    np.testing.assert_allclose(points @ points.T, expected, atol=0.01)
