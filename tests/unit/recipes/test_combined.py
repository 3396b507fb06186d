"""Several models as one, with weights that devices choose."""

import math
from functools import cache

import numpy as np
import pytest

from fedrec_protocol.tensors import Tensors
from fedrec_recipes.combined import (
    GAINS,
    MEMBER_WEIGHTS,
    SQUARED_GAINS,
    Combined,
    CombinedConfig,
    NotCombinable,
    member_tensor,
    weight_grid,
)
from fedrec_recipes.ease import Ease, EaseConfig
from fedrec_recipes.federated_evaluation import EvaluationConfig, FederatedEvaluation
from fedrec_recipes.mf import ITEM_EMBEDDINGS, MatrixFactorisation, MatrixFactorisationConfig
from fedrec_recipes.popularity import Popularity
from fedrec_recipes.recipe import History
from fedrec_recipes.statistics_recipe import StatisticsConfig
from tests.unit.recipes.data import people_with_taste

ITEMS = 60
HISTORIES = people_with_taste()
EASE = Ease(EaseConfig(number_of_items=ITEMS, regularisation=5.0))
POPULARITY = Popularity(StatisticsConfig(number_of_items=ITEMS))
MF = MatrixFactorisation(MatrixFactorisationConfig(number_of_items=ITEMS, dimension=4))
PLAN = Combined(CombinedConfig(number_of_items=ITEMS, members=(POPULARITY.choice, EASE.choice)))


@cache
def members() -> tuple[Tensors, Tensors]:
    """Trained without anybody's last interaction."""
    known = [history.without_last(1) for history in HISTORIES]
    generator = np.random.default_rng(0)
    return POPULARITY.train_central(known, generator), EASE.train_central(known, generator)


def base() -> dict[str, np.ndarray]:
    return PLAN.combination(members())


def by_hand(history: History, weights: tuple[float, ...]) -> np.ndarray:
    """The weighted sum of the members' z-scores, in double precision."""
    total = np.zeros(ITEMS)
    popular, similar = members()
    scored = (POPULARITY.score(popular, {}, history), EASE.score(similar, {}, history))
    for weight, each in zip(weights, scored, strict=True):
        scores = each.astype(np.float64)
        total += weight * (scores - scores.mean()) / scores.std()
    return total


def ndcg_by_hand(history: History, weights: tuple[float, ...]) -> float:
    """Of the last item, by what was before it, among the items that are not in it."""
    scores, target = by_hand(history.without_last(1), weights), int(history.items[-1])
    rivals = [item for item in range(ITEMS) if item not in set(history.items.tolist())]
    rank = 1 + sum(scores[item] >= scores[target] for item in rivals)
    return 1 / math.log2(rank + 1) if rank <= 10 else 0.0


def summed(reports: list[Tensors]) -> dict[str, np.ndarray]:
    return {name: np.sum([report[name].astype(np.float64) for report in reports], axis=0) for name in reports[0]}


def report(history: History) -> Tensors:
    return PLAN.train(base(), {}, history, PLAN.training, np.random.default_rng(0)).report


@pytest.mark.parametrize("weights", [(1.0, 1.0), (1.0, 0.25), (0.0, 1.0)])
def test_the_score_is_the_weighted_sum_of_the_members_standardised_scores(weights: tuple[float, float]) -> None:
    combined = PLAN.combination(members(), weights)
    for history in HISTORIES[:5]:
        np.testing.assert_allclose(PLAN.score(combined, {}, history), by_hand(history, weights), atol=1e-5)


def test_a_member_that_says_nothing_of_somebody_leaves_the_score_to_the_others() -> None:
    alone = PLAN.score(PLAN.combination(members(), (1.0, 0.0)), {}, History(np.array([], dtype=np.int64)))
    both = PLAN.score(base(), {}, History(np.array([], dtype=np.int64)))
    np.testing.assert_array_equal(both, alone)
    assert both.std() > 0


def test_what_is_private_to_a_member_is_solved_from_the_history() -> None:
    plan = Combined(CombinedConfig(number_of_items=ITEMS, members=(MF.choice, EASE.choice)))
    factors = MF.train_central(HISTORIES, np.random.default_rng(0), iterations=2)
    alone = plan.score(plan.combination((factors, members()[1]), (2.0, 0.0)), {}, HISTORIES[0])
    expected = MF.score(factors, {}, HISTORIES[0]).astype(np.float64)
    np.testing.assert_allclose(alone, 2 * (expected - expected.mean()) / expected.std(), atol=1e-5)


def test_a_device_reports_what_each_alternative_gains_for_its_last_item() -> None:
    informative = 0
    for history in HISTORIES[:20]:
        steps = [round(100 * ndcg_by_hand(history, tuple(weights))) for weights in weight_grid(2).tolist()]
        gains = np.array(steps) - round(100 * ndcg_by_hand(history, (1.0, 1.0)))
        np.testing.assert_array_equal(report(history)[GAINS], gains)
        np.testing.assert_array_equal(report(history)[SQUARED_GAINS], np.ceil(gains**2 / 100))
        informative += bool(gains.any())
    assert informative > 5


def test_the_round_chooses_the_weights_with_the_surest_gain_and_leaves_the_members_as_they_are() -> None:
    each = np.array(
        [[ndcg_by_hand(history, tuple(weights)) for weights in weight_grid(2).tolist()] for history in HISTORIES]
    )
    equal = weight_grid(2).tolist().index([1.0, 1.0])
    gains = each - each[:, [equal]]
    bounds = gains.sum(axis=0) - 1.5 * np.sqrt((gains**2).sum(axis=0))
    chosen = weight_grid(2)[int(np.argmax(bounds))]
    assert bounds.max() > 5
    assert np.sort(bounds)[-2] < bounds.max() - 0.1  # further apart than rounding each to hundredths brings them

    totals = summed([report(history) for history in HISTORIES])
    solved = PLAN.solve(base(), totals)
    np.testing.assert_array_equal(solved.pop(MEMBER_WEIGHTS), chosen)
    for place, tensors in enumerate(members()):
        for name, values in tensors.items():
            np.testing.assert_array_equal(solved.pop(member_tensor(place, name)), values)
    assert not solved


def test_people_with_one_interaction_report_no_gain() -> None:
    assert not report(HISTORIES[0].without_last(11))[GAINS].any()


def test_where_nobody_gains_the_weights_are_equal() -> None:
    zeros = {name: np.zeros(len(weight_grid(2))) for name in (GAINS, SQUARED_GAINS)}
    np.testing.assert_array_equal(PLAN.solve(PLAN.combination(members(), (1.0, 8.0)), zeros)[MEMBER_WEIGHTS], [1, 1])


def test_central_training_trains_the_members_without_the_last_interactions_and_chooses_by_them() -> None:
    central = PLAN.train_central(HISTORIES, np.random.default_rng(0))
    totals = summed([report(history) for history in HISTORIES])
    expected = PLAN.solve(base(), totals)
    for name, values in expected.items():
        np.testing.assert_array_equal(central[name], values)


@pytest.mark.parametrize(("members", "alternatives"), [(2, 11), (3, 38), (4, 219)])
def test_all_alternatives_differ_and_every_member_is_tried_alone(members: int, alternatives: int) -> None:
    tried = {tuple(row / row.max()) for row in weight_grid(members)}
    assert len(tried) == len(weight_grid(members)) == alternatives
    assert {tuple(row) for row in np.eye(members)} <= tried
    assert tuple(np.ones(members)) in tried


def test_what_tells_items_apart_is_that_of_the_first_member_that_has_some() -> None:
    plan = Combined(CombinedConfig(number_of_items=ITEMS, members=(POPULARITY.choice, MF.choice, EASE.choice)))
    factors = MF.train_central(HISTORIES, np.random.default_rng(0), iterations=1)
    combined = plan.combination((members()[0], factors, members()[1]))
    np.testing.assert_array_equal(plan.item_vectors(combined), factors[ITEM_EMBEDDINGS])


def test_an_evaluation_measures_a_combined_version_like_any_other() -> None:
    evaluation = FederatedEvaluation(EvaluationConfig(number_of_items=ITEMS, recipe=PLAN.choice))
    reports = [
        evaluation.train(base(), {}, each, evaluation.training, np.random.default_rng(0)).report for each in HISTORIES
    ]
    totals = summed(reports)
    expected = np.mean([ndcg_by_hand(history, (1.0, 1.0)) for history in HISTORIES])
    assert evaluation.measure(totals).metrics["ndcg@10"] == pytest.approx(expected, abs=1e-9)


def test_a_members_configuration_is_spelt_out() -> None:
    short = Combined(
        CombinedConfig.model_validate({"number_of_items": 7, "members": [{"name": "popularity"}, {"name": "ease"}]})
    )
    assert short.config.members[1] == Ease(EaseConfig(number_of_items=7)).choice


def named(name: str, **config: object) -> dict[str, object]:
    return {"name": name, "config": config}


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([named("ease")], "at least 2"),
        ([named("ease")] * 5, "at most 4"),
        ([named("ease", number_of_items=7), named("popularity")], "'ease' is of 7 items, the others of 60"),
        ([named("ease"), named("combined", members=[named("ease"), named("slit")])], "'combined' does not"),
        ([named("ease"), named("evaluation", recipe=named("ease", number_of_items=60))], "'evaluation' does not"),
        ([named("ease"), named("word2vec")], "unknown recipe 'word2vec'"),
        ([named("ease", lambda_=3), named("popularity")], "recipe 'ease': lambda_"),
    ],
)
def test_members_that_cannot_be_combined_are_refused(members: list[dict[str, object]], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        CombinedConfig.model_validate({"number_of_items": ITEMS, "members": members})


@pytest.mark.parametrize(
    ("given", "weights", "reason"),
    [
        (lambda: members()[:1], None, "2 members need as many versions"),
        (lambda: members()[::-1], None, "version 1 does not hold the tensors of recipe 'popularity'"),
        (members, (1.0,), "as many weights"),
        (members, (1.0, -1.0), "zero or positive"),
        (members, (0.0, 0.0), "not all zero"),
        (members, (1.0, math.nan), "zero or positive"),
    ],
)
def test_versions_and_weights_that_do_not_fit_are_refused(given, weights, reason: str) -> None:  # type: ignore[no-untyped-def]  # callables of several types
    with pytest.raises(NotCombinable, match=reason):
        PLAN.combination(given(), weights)
