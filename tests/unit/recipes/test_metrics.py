"""Ranking metrics against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fedrec_recipes.metrics import UnknownMetric, metric_value, rank_of

NOBODY = np.array([], dtype=np.int64)


def test_the_best_item_has_rank_one() -> None:
    assert rank_of(np.array([0.1, 0.9, 0.5]), 1, NOBODY) == 1


def test_items_that_the_person_has_seen_do_not_compete() -> None:
    assert rank_of(np.array([0.9, 0.8, 0.1]), 2, np.array([0])) == 2


def test_the_target_competes_even_if_it_was_seen() -> None:
    assert rank_of(np.array([0.9, 0.8, 0.1]), 0, np.array([0, 1])) == 1


def test_a_constant_score_ranks_the_target_last() -> None:
    assert rank_of(np.zeros(50), 7, np.array([1, 2])) == 48


@pytest.mark.parametrize("nan_at", [0, 2])
def test_a_score_that_is_not_a_number_counts_against_the_target(nan_at: int) -> None:
    scores = np.array([0.1, 0.2, 0.9])
    scores[nan_at] = np.nan
    assert rank_of(scores, 2, NOBODY) == (3 if nan_at == 2 else 2)


@given(arrays(np.float64, 12, elements=st.integers(0, 4).map(float)), st.integers(0, 11), st.sets(st.integers(0, 11)))
def test_the_rank_is_the_targets_place_when_ties_are_sorted_before_it(
    scores: np.ndarray, target: int, excluded: set[int]
) -> None:
    competitors = [item for item in range(12) if item == target or item not in excluded]
    ordered = sorted(competitors, key=lambda item: (-scores[item], item == target))
    assert rank_of(scores, target, np.array(sorted(excluded), dtype=np.int64)) == ordered.index(target) + 1


@pytest.mark.parametrize(
    ("name", "rank", "value"),
    [
        ("hr@10", 10, 1.0),
        ("hr@10", 11, 0.0),
        ("recall@20", 20, 1.0),
        ("ndcg@10", 1, 1.0),
        ("ndcg@10", 3, 0.5),
        ("ndcg@10", 11, 0.0),
        ("mrr", 50, 0.02),
        ("mrr@10", 4, 0.25),
        ("mrr@10", 50, 0.0),
    ],
)
def test_metrics_of_a_rank(name: str, rank: int, value: float) -> None:
    assert metric_value(name, rank) == pytest.approx(value)


@pytest.mark.parametrize("name", ["hr", "hr@", "hr@0", "hr@-1", "hr@ten", "auc", "auc@10", "", "hr@²"])
def test_a_name_that_is_no_metric_is_refused(name: str) -> None:
    with pytest.raises(UnknownMetric):
        metric_value(name, 1)
