"""Evaluation of held-out items."""

import numpy as np
import pytest

from fedrec_recipes.evaluation import HeldOut, estimate, mean_metric, probe_hit_rate, ranks, sampled_ranks
from fedrec_recipes.negatives import sample_negatives
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


def test_among_given_negatives_only_they_compete() -> None:
    scores = np.array([4.0, 3.0, 2.0, 1.0])
    case = HeldOut(0, History(np.array([3])), 2)
    assert sampled_ranks(lambda _: scores, [case], [np.array([1, 2])]).tolist() == [2]


def test_negatives_are_all_items_but_the_historys_each_as_likely() -> None:
    history = History(np.array([7, 0, 3]))
    drawn = sample_negatives(history, 10, 70_000, np.random.default_rng(0))
    counts = np.bincount(drawn, minlength=10)
    assert counts[[0, 3, 7]].tolist() == [0, 0, 0]
    assert counts[[1, 2, 4, 5, 6, 8, 9]] == pytest.approx(10_000, rel=0.05)


def test_a_history_of_everything_has_no_negatives() -> None:
    assert len(sample_negatives(History(np.arange(4)), 4, 9, np.random.default_rng(0))) == 0


def test_the_probe_stays_at_chance_with_our_negatives_and_finds_a_leak() -> None:
    generator = np.random.default_rng(0)
    histories = [generator.choice(200, size=21, replace=False) for _ in range(150)]
    cases = [HeldOut(p, History(items[:-1]), int(items[-1])) for p, items in enumerate(histories)]
    target_of = {case.history.items.tobytes(): case.target for case in cases}

    def leaky(history: History, items: int, count: int, generator: np.random.Generator) -> np.ndarray:
        known = np.append(history.items, target_of[history.items.tobytes()])
        return sample_negatives(History(known), items, count, generator)

    assert probe_hit_rate(sample_negatives, cases, 200, generator) == pytest.approx(0.1, abs=0.08)
    assert probe_hit_rate(leaky, cases, 200, generator) == 1.0
