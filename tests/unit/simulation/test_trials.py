"""Which recipe trials prefer, what they tell to expect, and how their time is spent."""

from types import SimpleNamespace

import numpy as np
import pytest

from fedrec_recipes.recipe import History
from simulation.advice.candidates import candidates
from simulation.advice.pace import affordable_items, affordable_people, predicted_seconds
from simulation.advice.survey import Order
from simulation.advice.trial import MOST_RANKED, Trial, preferred, trial_of
from simulation.advice.trials import question_of, run_trials
from tests.unit.recipes.data import people_with_taste


def trial(ranks: list[int], people: int = 0, training: float = 0.0, ranking: float = 0.0) -> Trial:
    return trial_of(
        "some",
        np.array(ranks),
        people=people or len(ranks),
        items=30,
        training_seconds=training,
        ranking_seconds=ranking,
        seed=0,
    )


def tried(people: list[History], seconds: float, items: int = 30) -> tuple[int, int, bool]:
    """People of the last stage, people behind what is expected, and whether everybody was too much."""
    question = question_of(people, items, Order.FILE, 10**9, seed=0)
    outcome = run_trials(question, seconds=seconds, progress=lambda _: None)
    return outcome.trials[0].people, outcome.expected.people, outcome.missing_seconds > 0


def test_the_best_is_preferred_where_it_is_clearly_better() -> None:
    assert preferred([trial([20] * 50), trial([5] * 50), trial([1] * 50)]) == 2


def test_of_two_that_differ_by_chance_the_first_is_preferred() -> None:
    one, other = [1, 5] * 25, [5, 1] * 24 + [1, 1]
    assert trial(other).gains.mean() > trial(one).gains.mean()
    assert preferred([trial([20] * 50), trial(one), trial(other)]) == 1


def test_popularity_is_proposed_where_nothing_is_clearly_better() -> None:
    assert preferred([trial([1] * 50), trial([5] * 50)]) == 0
    assert preferred([trial([1, 5] * 25), trial([5, 1] * 24 + [1, 1])]) == 0


def test_of_some_of_the_people_popularity_is_proposed_only_where_it_is_clearly_better() -> None:
    popularity, alike, worse = trial([1, 5] * 25), trial([5, 1] * 25), trial([5] * 50)
    assert preferred([popularity, worse, alike]) == 0
    assert preferred([popularity, worse, alike], share=0.5) == 2
    assert preferred([popularity, worse, worse], share=0.5) == 0


def test_a_look_at_hardly_anybody_does_not_tell_that_nothing_can_be_learnt() -> None:
    assert preferred([trial([1] * 50), trial([9] * 50), trial([5] * 50)], share=0.05) == 2


def test_the_time_of_a_trial_is_a_line_through_the_last_two_and_ranking_is_of_some_people_only() -> None:
    small = trial([1] * 250, people=250, training=3.0, ranking=0.5)
    large = trial([1] * 500, people=500, training=4.0, ranking=1.0)
    assert predicted_seconds(small, large, 1000) == pytest.approx(4 + 500 * (1 / 250) + 1000 * (1 / 500))
    ranked = MOST_RANKED * (1 / 500)
    assert predicted_seconds(small, large, 100_000) == pytest.approx(4 + 99_500 * (1 / 250) + ranked)


def test_the_next_stage_has_as_many_people_as_fit_into_the_time() -> None:
    small = [trial([1] * 250, people=250, training=3.0)] * 2
    large = [trial([1] * 500, people=500, training=4.0)] * 2
    # 1 second for 250 people more, of each of two candidates: everybody takes 2 * (4 + 38)
    assert affordable_people(small, large, 84.1, 10_000) == 10_000
    assert affordable_people(small, large, 83.9, 10_000) == 5_000
    assert affordable_people(small, large, 2 * (4 + 3), 10_000) == 1_250
    assert affordable_people(small, large, 2 * (4 + 0.9), 10_000) is None  # not half as many people more
    assert affordable_people(small, large, 2 * (4 + 0.9), 600) == 600  # but everybody
    # Of one stage alone it is known that at least a tenth of the time is for people.
    assert affordable_people(large, large, 2 * (4 + 0.4 * 19) + 0.1, 10_000) == 10_000


def test_only_recipes_whose_solution_grows_faster_than_the_catalogue_bound_it() -> None:
    assert affordable_items(candidates(1_000_000, Order.TIME), 10.0) is None
    assert affordable_items(candidates(50_000, Order.TIME), 0.0) == 600


def test_without_order_a_table_that_everybodys_pairs_overfill_is_not_tried_on_some_of_them() -> None:
    def tries_it(people: int, order: Order) -> bool:
        question = question_of([History(np.arange(257))] * people, 8_000, order, 10**9, seed=0)
        return "hashed-pairs" in [recipe.name for recipe in question.candidates(8_000, people=250)]

    # 8,000 items have room for 4,096,000 pairs, and a history of 257 has 32,896.
    assert tries_it(124, Order.ITEM)
    assert not tries_it(125, Order.ITEM)
    assert tries_it(1_250, Order.TIME)  # where there is no filter to take its place


def test_what_is_expected_is_measured_on_everybody_where_there_is_time() -> None:
    people = people_with_taste(700, 30, length=8)
    assert tried(people, seconds=3600) == (700, 700, False)
    assert tried(people[:100], seconds=0) == (100, 100, False)


def test_without_time_a_few_people_are_tried_and_it_is_said_that_they_are_few() -> None:
    assert tried(people_with_taste(700, 30, length=8), seconds=0) == (250, 250, True)


def test_without_time_a_few_items_are_tried() -> None:
    people = people_with_taste(100, 30, length=8)
    assert tried(people, seconds=0, items=3000) == (100, 100, True)


def test_a_stage_is_given_up_where_the_machine_has_become_so_slow_that_the_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, told = [0.0], []

    def progress(step: str) -> None:
        told.append(step)
        now[0] += 1e6 if "1,000 people" in step else 0.001

    monkeypatch.setattr("simulation.advice.trials.time", SimpleNamespace(perf_counter=lambda: now[0]))
    outcome = run_trials(
        question_of(people_with_taste(1_000), 60, Order.ITEM, 10**9, seed=0), seconds=3600.0, progress=progress
    )
    assert sum("1,000 people" in step for step in told) == 1
    assert (outcome.trials[0].people, outcome.expected.people) == (500, 500)
