"""Measuring a model from counts: against central counting, trec_eval, and slow definitions."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import pytrec_eval

from fedrec_protocol.manifest import RecipeChoice
from fedrec_recipes.evaluation import HeldOut
from fedrec_recipes.federated_evaluation import EvaluationConfig, FederatedEvaluation
from fedrec_recipes.item_content import pack_content
from fedrec_recipes.measurements import of_catalogue, of_histogram
from fedrec_recipes.recipe import History
from fedrec_sdk.trainer import RecipeTrainer
from tests.unit.recipes.data import people_with_taste

ITEMS = 60
PEOPLE = people_with_taste(150, ITEMS)
EASE = RecipeChoice(name="ease", config={"number_of_items": ITEMS, "regularisation": 5.0})


def the_evaluation(**config: Any) -> FederatedEvaluation:
    return FederatedEvaluation(EvaluationConfig(number_of_items=ITEMS, recipe=EASE, **config))


@pytest.fixture(scope="module")
def model() -> dict[str, np.ndarray]:
    """EASE without anybody's last item."""
    evaluated = the_evaluation()._evaluated
    return dict(evaluated.train_central([person.without_last(1) for person in PEOPLE], np.random.default_rng(0)))


def cases() -> list[HeldOut]:
    return [HeldOut(index, person.without_last(1), int(person.items[-1])) for index, person in enumerate(PEOPLE)]


def without(gone: Iterable[int]) -> str:
    """What may be recommended, as the configuration has it."""
    recommendable = np.ones((ITEMS, 1), dtype=np.bool_)
    recommendable[list(gone)] = False
    return pack_content(recommendable)


def totals_of_reports(evaluation: FederatedEvaluation, model: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    reports = [
        evaluation.train(model, {}, person, evaluation.training, np.random.default_rng(0)).report for person in PEOPLE
    ]
    return {name: np.sum([report[name].astype(np.float64) for report in reports], axis=0) for name in reports[0]}


def test_the_sum_of_reports_says_what_counting_in_one_place_says(model: dict[str, np.ndarray]) -> None:
    evaluation = the_evaluation()
    assert evaluation.measure(totals_of_reports(evaluation, model)) == evaluation.measured_centrally(model, cases())


@pytest.mark.parametrize("gone", [[], [3, 7, 20, 41, 59]])
def test_metrics_are_those_of_trec_eval_on_the_same_scores(model: dict[str, np.ndarray], gone: list[int]) -> None:
    evaluation = the_evaluation(cutoffs=(10, 20), recommendable=without(gone))
    asked = [case for case in cases() if case.target not in gone]
    relevant, runs = {}, {}
    for case in asked:
        scores = evaluation.score(model, {}, case.history)
        unseen = np.setdiff1d(np.arange(ITEMS), [*case.history.items, *gone])
        assert len(np.unique(scores[unseen])) == len(unseen)  # trec_eval breaks ties by name
        relevant[str(case.person)] = {str(case.target): 1}
        runs[str(case.person)] = {str(item): float(scores[item]) for item in unseen}
    names = {"success_10": "hr@10", "success.20": "hr@20", "ndcg_cut_10": "ndcg@10", "ndcg_cut_20": "ndcg@20"}
    evaluator = pytrec_eval.RelevanceEvaluator(relevant, {"success.10,20", "ndcg_cut.10,20"})
    per_person = evaluator.evaluate(runs).values()
    measured = evaluation.measured_centrally(model, cases())

    assert measured.evaluated == len(asked)
    assert (len(asked) < len(PEOPLE)) == bool(gone)
    for theirs, ours in names.items():
        expected = np.mean([values[theirs.replace(".", "_")] for values in per_person])
        assert measured.metrics[ours] == pytest.approx(expected, abs=1e-12)


def test_coverage_and_popularity_are_of_what_may_be_recommended() -> None:
    """Of six items 0 and 5 are retired; everybody who is asked is shown item 1, and then item 2."""
    popular = RecipeChoice(name="popularity", config={"number_of_items": 6})
    recommendable = pack_content(np.array([False, True, True, True, True, False])[:, None])
    config = EvaluationConfig(
        number_of_items=6, recipe=popular, list_length=2, popular_share=0.25, recommendable=recommendable
    )
    evaluation = FederatedEvaluation(config)
    base = {evaluation.shared[0].name: np.array([9, 5, 4, 3, 2, 1], np.float32)}
    asked = [HeldOut(0, History(np.array([0, 3])), 1), HeldOut(1, History(np.array([0, 3])), 5)]
    found = evaluation.measured_centrally(base, asked).metrics

    assert found["hr@10"] == 1.0  # the second question has no answer that may be given
    assert found["coverage@2"] == 2 / 4
    assert found["gini@2"] == pytest.approx(0.5)  # of 1, 1, 0, 0
    assert found["hr@2 [other items]"] == 1.0  # item 3 is the popular one of four
    assert "hr@2 [popular items]" not in found


def test_a_catalogue_without_an_item_that_may_be_recommended_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves no item"):
        the_evaluation(recommendable=without(range(ITEMS)))


def test_slices_add_up_to_the_whole(model: dict[str, np.ndarray]) -> None:
    people = [person.without_last(index % 7) for index, person in enumerate(PEOPLE)]
    evaluation = the_evaluation(activity_edges=(6, 8, 10))
    asked = [HeldOut(0, person.without_last(1), int(person.items[-1])) for person in people]
    found = evaluation.measured_centrally(model, asked).metrics
    labels = ["history 0-5", "history 6-7", "history 8-9", "history 10+"]
    sizes = [found[f"people [{label}]"] for label in labels]

    lengths = [len(case.history) for case in asked]
    assert sizes == [sum(low <= n < high for n in lengths) for low, high in pairwise([0, 6, 8, 10, 99])]
    hits = sum(size * found[f"hr@10 [{label}]"] for size, label in zip(sizes, labels, strict=True))
    assert hits / sum(sizes) == pytest.approx(found["hr@10"], abs=1e-12)


def test_popular_and_other_items_are_told_apart() -> None:
    """Everybody has item 0; one asks for it after item 1, and one asks for item 3, which is never found."""
    popular = RecipeChoice(name="popularity", config={"number_of_items": 4})
    config = EvaluationConfig(number_of_items=4, recipe=popular, cutoffs=(1,), list_length=1, popular_share=0.25)
    evaluation = FederatedEvaluation(config)
    base = {evaluation.shared[0].name: np.array([9.0, 0.0, 5.0, 1.0], np.float32)}
    asked = [
        HeldOut(0, History(np.array([1])), 0),
        HeldOut(1, History(np.array([0])), 3),
        HeldOut(2, History(np.array([0])), 3),
    ]
    found = evaluation.measured_centrally(base, asked).metrics

    assert found["hr@1 [popular items]"] == 1.0
    assert found["hr@1 [other items]"] == 0.0
    assert found["hr@1"] == pytest.approx(1 / 3)


def test_intervals_are_those_of_a_binomial_proportion() -> None:
    counts = np.zeros(101)
    counts[0], counts[50] = 100, 300
    found = of_histogram(counts, ["hr@10"])
    assert found["hr@10"] == 0.25
    half = 1.959964 * (0.25 * 0.75 / 399) ** 0.5
    assert (found["hr@10.low"], found["hr@10.high"]) == pytest.approx((0.25 - half, 0.25 + half), abs=1e-6)


def test_coverage_gini_and_novelty_are_their_definitions() -> None:
    exposure, interactions = np.array([6.0, 0.0, 3.0, 1.0]), np.array([8.0, 4.0, 2.0, 0.0])
    found = of_catalogue(exposure, interactions, people=8)
    differences = np.abs(exposure[:, None] - exposure[None, :])
    assert found["coverage"] == 0.75
    assert found["gini"] == pytest.approx(differences.mean() / (2 * exposure.mean()))
    assert found["novelty"] == pytest.approx((6 * 0 + 3 * 2 + 1 * 3) / 10)  # known to 8, 2 and (floor) 1 of 8


@pytest.mark.parametrize(("exposure", "gini"), [([2.0] * 5, 0.0), ([0.0, 0, 0, 0, 7], 0.8)])
def test_gini_runs_from_equality_to_one_item_that_takes_all(exposure: list[float], gini: float) -> None:
    assert of_catalogue(np.array(exposure), np.ones(5), 5)["gini"] == pytest.approx(gini)


def test_what_nobody_reported_has_no_metrics() -> None:
    evaluation = the_evaluation()
    zeros = {spec.name: np.zeros(spec.shape) for spec in evaluation.statistics}
    measured = evaluation.measure(zeros)
    assert measured.evaluated == 0
    assert not [name for name in measured.metrics if not name.startswith("people")]


def test_a_measuring_recipe_sees_the_item_that_training_is_kept_from() -> None:
    history = History(np.array([3, 4, 5]))
    assert RecipeTrainer(the_evaluation()).training_history(history).items.tolist() == [3, 4, 5]
    assert RecipeTrainer(the_evaluation()._evaluated).training_history(history).items.tolist() == [3, 4]


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"activity_edges": (20, 10)}, "must increase"),
        ({"cutoffs": (101,)}, "at most 100"),
        ({"popular_share": 1.0}, "less than 1"),
    ],
)
def test_a_configuration_that_cannot_be_counted_is_refused(config: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        the_evaluation(**config)
