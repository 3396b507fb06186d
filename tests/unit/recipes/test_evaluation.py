"""Evaluation of held-out items."""

import numpy as np
import pytest

from fedrec_recipes.evaluation import HeldOut, estimate, mean_metric, ranks
from fedrec_recipes.recipe import History


def test_each_case_is_ranked_among_the_items_its_person_has_not_seen() -> None:
    scores = np.array([4.0, 3.0, 2.0, 1.0])
    cases = [HeldOut(0, History(np.array([0])), 2), HeldOut(1, History(np.array([], dtype=np.int64)), 3)]
    assert ranks(lambda _: scores, cases).tolist() == [2, 4]


def test_a_mean_is_over_people() -> None:
    assert mean_metric("ndcg@10", np.array([1, 3, 11])) == pytest.approx((1.0 + 0.5 + 0.0) / 3)


def test_the_interval_of_a_hit_rate_is_that_of_a_binomial_proportion() -> None:
    of_ranks = np.array([1] * 100 + [20] * 300)
    hits = estimate("hr@10", of_ranks, np.random.default_rng(0), resamples=4000)
    assert hits.mean == 0.25
    standard_error = (0.25 * 0.75 / 400) ** 0.5
    assert hits.low == pytest.approx(0.25 - 1.96 * standard_error, abs=0.004)
    assert hits.high == pytest.approx(0.25 + 1.96 * standard_error, abs=0.004)
