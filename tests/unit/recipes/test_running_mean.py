"""Means over people that travel as deltas."""

import numpy as np

from fedrec_recipes.running_mean import running_mean_delta


def test_the_first_round_takes_the_cohorts_mean() -> None:
    observed = [np.array([1.0, 0.0]), np.array([3.0, 2.0])]
    deltas = [running_mean_delta(np.zeros(2), value, 0.25) for value in observed]
    np.testing.assert_allclose(np.mean(deltas, axis=0), [2.0, 1.0])


def test_later_rounds_move_part_of_the_way() -> None:
    base = np.array([2.0, 1.0])
    delta = running_mean_delta(base, np.array([4.0, 1.0]), 0.25)
    np.testing.assert_allclose(base + delta, [2.5, 1.0])
