"""Lists made of scores."""

import numpy as np
import pytest

from fedrec_recipes.ease import Ease, EaseConfig
from fedrec_recipes.recipe import History
from fedrec_recipes.reranking import because_of, diversified
from tests.unit.recipes.data import people_with_taste

SCORES = np.array([0.1, 0.9, 0.5, 0.9, 0.3], dtype=np.float32)


BEST_FIRST = np.array([1, 3, 2, 4, 0])


def test_relevance_alone_keeps_the_order_of_the_scores() -> None:
    assert diversified(BEST_FIRST, SCORES, np.eye(5), 5, relevance=1.0).tolist() == BEST_FIRST.tolist()


def test_the_second_of_two_alike_waits_for_another_kind() -> None:
    kinds = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    scores = np.array([1.0, 0.9, 0.5])
    assert diversified(np.arange(3), scores, kinds, 2, relevance=0.5).tolist() == [0, 2]


def test_only_candidates_are_shown() -> None:
    assert diversified(np.array([4, 0]), SCORES, np.eye(5), 3).tolist() == [4, 0]
    assert diversified(np.array([], dtype=np.int64), SCORES, np.eye(5), 3).tolist() == []


def test_an_item_is_explained_by_the_weights_that_led_to_it() -> None:
    recipe = Ease(EaseConfig(number_of_items=60))
    histories = people_with_taste()
    shared = recipe.train_central(histories, np.random.default_rng(0))
    history = histories[0]
    scores = recipe.score(shared, {}, history)
    scores[history.items] = -np.inf
    item = int(np.argmax(scores))
    reasons = because_of(lambda known: recipe.score(shared, {}, known), history, item)
    # In a linear model, what an item adds is its weight.
    weights = {int(old): float(shared["item_weights"][old, item]) for old in history.items}
    expected = sorted(weights.items(), key=lambda pair: -pair[1])[:3]
    assert [old for old, _ in reasons] == [old for old, _ in expected]
    assert [gain for _, gain in reasons] == pytest.approx([weight for _, weight in expected], abs=1e-6)


def test_what_speaks_against_an_item_is_no_reason_for_it() -> None:
    assert because_of(lambda known: np.array([-float(len(known))]), History(np.array([0, 0])), 0) == []
