"""When advice proposes a second task beside the first, and which."""

import re
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from fedrec.data.interactions import from_columns
from fedrec_protocol.initialise import initial_parameters
from fedrec_protocol.manifest import TaskManifest
from fedrec_recipes.combined import MEMBER_WEIGHTS, Combined, CombinedConfig
from fedrec_recipes.metrics import rank_of
from fedrec_recipes.recipe import History
from fedrec_recipes.sasrec import Sasrec, SasrecConfig
from simulation.advice.advice import advise_on
from simulation.advice.both import try_both
from simulation.advice.combination import Beside, TooLong, beside
from simulation.advice.remarks import remarks_on_both
from simulation.advice.screen import as_json, show
from simulation.advice.second_task import sasrec_for, sasrec_to_try, second_task
from simulation.advice.survey import Order
from simulation.advice.trial import Trial, trial_of, try_recipe
from simulation.advice.trials import Outcome, Question, question_of
from simulation.advice.wishes import Wishes
from tests.unit.recipes.data import people_with_taste
from tests.unit.recipes.test_blend import ITEMS, wandering

LARGE = 10**9


def asked(order: Order = Order.TIME, largest_bytes: int = LARGE) -> Question:
    """Of people whose last item alone tells what comes next."""
    return question_of(wandering(), ITEMS, order, largest_bytes, seed=0)


def chosen(question: Question, name: str = "als") -> Outcome:
    """As if that candidate had done best, on everybody."""
    candidates = question.candidates(ITEMS)
    place = [recipe.name for recipe in candidates].index(name)
    trial = try_recipe(candidates[place], question.histories, 0)
    return Outcome([trial] * (place + 1), [], place, trial, 0.0)


def found(question: Question, outcome: Outcome, seconds: float = 600.0) -> Beside | TooLong | None:
    return beside(question, outcome, seconds=seconds, progress=lambda _: None)


def task(people: int) -> TaskManifest:
    return second_task(sasrec_to_try(100, []), name="second", people=people, seed=0, deadline_seconds=60.0)


def test_a_recipe_that_knows_no_order_is_better_with_one_that_does() -> None:
    question = asked()
    outcome = chosen(question)
    pays = found(question, outcome)
    assert isinstance(pays, Beside)
    assert pays.pays
    assert pays.alone is outcome.expected
    assert pays.together.recipe == "als + sasrec"
    assert pays.together.people == len(question.histories)
    assert pays.together.metrics["ndcg@10"].low > pays.alone.metrics["ndcg@10"].high


def test_a_model_that_was_kept_is_not_trained_again() -> None:
    question = question_of(wandering()[:60], ITEMS, Order.TIME, LARGE, seed=0)
    outcome = chosen(question)
    als = question.candidates(ITEMS)[len(outcome.trials) - 1]
    kept = try_recipe(als, question.histories, 0, is_kept=True)
    assert kept.shared is not None
    silent = {name: np.zeros_like(value) for name, value in kept.shared.items()}
    trials = [replace(kept, shared=shared) for shared in (None, kept.shared, silent)]
    tried = [found(question, replace(outcome, expected=trial)) for trial in trials]
    fresh, again, without = (both.together.gains.tolist() for both in tried if isinstance(both, Beside))
    assert again == fresh
    assert without != fresh


def test_without_time_nothing_is_tried_and_the_time_that_it_takes_is_named() -> None:
    question = asked()
    outcome = chosen(question)
    untried = found(question, outcome, seconds=0)
    assert isinstance(untried, TooLong)
    assert untried.name == "als + sasrec"
    assert untried.missing_seconds > outcome.expected.training_seconds  # of als, to which sasrec's is added


def test_nothing_is_tried_without_order_beside_popularity_or_where_it_is_too_large() -> None:
    question = asked()
    outcome = chosen(question)
    assert found(asked(Order.ITEM), outcome) is None
    narrow = asked(largest_bytes=50_000)  # als has 37 kB, both have 74
    assert found(question, chosen(question, "popularity")) is None
    assert found(narrow, chosen(narrow)) is None


def test_advice_says_which_minutes_a_trial_of_both_would_take() -> None:
    rows = [(f"{person:04}", f"{item:04}") for person, history in enumerate(wandering()) for item in history.items]
    interactions = from_columns([user for user, _ in rows], [item for _, item in rows], None)
    remarks = advise_on(interactions, Wishes(data=Path(), seconds=0), lambda _: None).remarks
    (untried,) = [remark for remark in remarks if "two tasks combined, was not tried" in remark]
    assert re.search(r"\+ sasrec does better.* --minutes [1-9]\d* should do\.$", untried)


def test_nobody_is_measured_with_weights_that_their_own_item_chose() -> None:
    (person,) = people_with_taste(1, 30, length=8)
    members = ({"name": "popularity"}, {"name": "ease"})
    both = Combined(CombinedConfig.model_validate({"number_of_items": 30, "members": members}))
    known = person.without_last(1)
    starts = [initial_parameters(member.shared, 0) for member in both.members]
    trained = [
        member.train_central([known], np.random.default_rng(0), base=start)
        for member, start in zip(both.members, starts, strict=True)
    ]
    equal = both.combination(trained)
    assert equal[MEMBER_WEIGHTS].tolist() == [1.0, 1.0]
    rank = rank_of(both.score(equal, {}, known), int(person.items[-1]), known.items)
    tried = try_both(both, trained, [person], training_seconds=0.0, seed=0)
    assert tried.gains.tolist() == pytest.approx([1 / np.log2(rank + 1) if rank <= 10 else 0.0])


def test_what_is_no_better_together_does_not_pay() -> None:
    assert not both_tried(together=3, alone=3).pays


@pytest.mark.parametrize(
    ("items", "people", "length", "dimensions"),
    [
        (4_000, 6_000, 100, (64, 128)),
        (4_000, 4_000, 100, (48, 48)),  # 400,000 interactions
        (4_000, 20_000, 40, (48, 48)),  # short histories
        (20_000, 6_000, 100, (48, 48)),  # a large catalogue
        (4_000, 21_000, 60, (64, 64)),  # many people
    ],
)
def test_much_data_in_long_histories_gets_a_larger_second_recipe(
    items: int, people: int, length: int, dimensions: tuple[int, int]
) -> None:
    histories = [History(np.arange(length))] * people
    made = sasrec_to_try(items, histories), sasrec_for(items, histories)
    assert tuple(recipe.config.dimension for recipe in made) == dimensions


def test_a_second_recipe_that_is_larger_than_the_tried_one_is_said_to_be(tmp_path: Path) -> None:
    wishes = Wishes(data=tmp_path, seconds=60)
    assert remarks_on_both(wishes, both_tried(together=2, alone=4)) == []
    larger = replace(both_tried(together=2, alone=4), recipe=Sasrec(SasrecConfig(number_of_items=30, dimension=64)))
    (remark,) = remarks_on_both(wishes, larger)
    assert remark.startswith("The second task is sasrec dimension=64: so much data")
    cut = replace(both_tried(together=2, alone=4), passes=9, missing_seconds=90.0)
    assert remarks_on_both(wishes, cut) == ["There was time for 9 passes of sasrec over the data: its task makes more."]
    in_vain = replace(both_tried(together=4, alone=4), passes=9, missing_seconds=90.0)
    assert remarks_on_both(wishes, in_vain) == [
        "There was time for 9 passes of sasrec over the data: it does not pay; all 20 take about --minutes 3."
    ]


def test_of_few_people_everybody_takes_part_in_the_usual_rounds() -> None:
    usual = sasrec_to_try(100, [])
    manifest = task(1000)
    assert (manifest.rounds.aggregation_goal, manifest.stop.round_budget) == (1000, usual.usual_rounds)
    assert manifest.aggregation == usual.aggregation


@pytest.mark.parametrize(("people", "goal", "rounds"), [(1500, 128, 800), (6040, 128, 1180), (200_000, 2500, 2000)])
def test_of_many_people_some_take_part_in_more_rounds(people: int, goal: int, rounds: int) -> None:
    manifest = task(people)
    assert (manifest.rounds.aggregation_goal, manifest.stop.round_budget) == (goal, rounds)
    assert manifest.aggregation.params["learning_rate"] == 0.0025


def test_a_second_task_is_shown_with_what_it_is_worth() -> None:
    people = people_with_taste(40, 30, length=8)
    rows = [(str(person), str(item)) for person, history in enumerate(people) for item in history.items]
    interactions = from_columns([user for user, _ in rows], [item for _, item in rows], None)
    advice = advise_on(interactions, Wishes(data=Path(), seconds=0), lambda _: None)
    assert (as_json(advice)["beside"], as_json(advice)["second"]) == (None, None)
    pays = both_tried(together=2, alone=4)
    second = second_task(pays.recipe, name="b", people=6040, seed=0, deadline_seconds=9)
    shown = replace(advice, beside=pays, second=second)
    written = StringIO()
    show(shown, Console(file=written, width=200))
    (line,) = [line for line in written.getvalue().splitlines() if line.startswith("rounds") and "1,180" in line]
    assert line.split(maxsplit=1)[1].rstrip() == "1,180, of 128 people"
    assert "blend + sasrec" in written.getvalue()
    assert (as_json(shown)["beside"]["pays"], as_json(shown)["beside"]["together"]["recipe"]) == (
        True,
        "blend + sasrec",
    )
    assert TaskManifest.model_validate(as_json(shown)["second"]) == second


def both_tried(together: int, alone: int) -> Beside:
    """As if everybody's item had these ranks."""
    return Beside(
        sasrec_to_try(30, []),
        sasrec_to_try(30, []),
        together=_trial("blend + sasrec", together),
        alone=_trial("blend", alone),
        passes=20,
        missing_seconds=0.0,
    )


def _trial(name: str, rank: int) -> Trial:
    ranks = np.full(40, rank)
    return trial_of(name, ranks, people=40, items=30, training_seconds=1.0, ranking_seconds=1.0, seed=0)
