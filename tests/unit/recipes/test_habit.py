"""What people come back to is recommended and ranked, where a recipe says so."""

from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from fedrec.cli import app
from fedrec_protocol.manifest import RecipeChoice
from fedrec_recipes.combined import MEMBER_WEIGHTS, Combined, CombinedConfig
from fedrec_recipes.evaluation import HeldOut
from fedrec_recipes.habit import Habit, HabitConfig
from fedrec_recipes.popularity import ITEM_COUNT, Popularity
from fedrec_recipes.recipe import History
from fedrec_recipes.statistics_recipe import StatisticsConfig
from fedrec_sdk.trainer import RecipeTrainer

ITEMS = 6
COUNTS = {ITEM_COUNT: np.array([9, 8, 7, 6, 5, 4], np.float32)}
HABIT = Habit(HabitConfig(number_of_items=ITEMS, forgetting=0.5))
POPULARITY = Popularity(StatisticsConfig(number_of_items=ITEMS))
DAILY = History(np.array([5, 4, 5, 3, 5, 4]), np.arange(6.0))


def test_own_items_come_by_how_often_and_how_lately_and_then_what_is_popular() -> None:
    scores = HABIT.score(COUNTS, {}, DAILY)
    weights = [(1 + later / 2) ** -0.5 for later in range(6)]  # of the newest first
    shares = np.array([9, 8, 7, 6, 5, 4]) / 9 * weights[5] / 2
    expected = np.array([0, 0, 0, weights[2], weights[0] + weights[4], weights[1] + weights[3] + weights[5]]) + shares
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    assert np.argsort(-HABIT.score(COUNTS, {}, History(np.array([5])))).tolist() == [5, 0, 1, 2, 3, 4]


def test_a_repeat_is_asked_for_and_ranked_among_all_items() -> None:
    found = RecipeTrainer(HABIT).evaluate(COUNTS, {}, DAILY, ("mrr",))
    assert (found.count, dict(found.sums)) == (1, {"mrr": 1 / 3})  # 4 comes back, after 5 and the newer 3


def test_other_recipes_learn_and_measure_each_item_at_its_first_time() -> None:
    trainer = RecipeTrainer(POPULARITY)
    learnt = trainer.training_history(DAILY)
    assert learnt.times is not None
    assert (learnt.items.tolist(), learnt.times.tolist()) == ([5, 4], [0.0, 1.0])
    assert dict(trainer.evaluate(COUNTS, {}, DAILY, ("mrr",)).sums) == {"mrr": 1 / 4}  # 3, among 0 to 3


def test_beside_a_habit_members_see_what_they_know_and_seen_items_compete() -> None:
    choices = (RecipeChoice(name="popularity"), HABIT.choice)
    both = Combined(CombinedConfig(number_of_items=ITEMS, members=choices))
    assert both.keeps_seen
    shared = {**both.combination([COUNTS, COUNTS]), MEMBER_WEIGHTS: np.array([0.0, 1.0], np.float32)}
    case = HeldOut(0, DAILY.without_last(1), 4)
    scores = HABIT.score(COUNTS, {}, case.history)
    alone = both.ranks(shared, case)[-1]  # the last alternative is the second member alone
    assert alone == 1 + np.count_nonzero(scores > scores[4])


@pytest.mark.parametrize("name", ["habit", "combined"])
def test_a_simulation_with_a_habit_counts_repeats(tmp_path: Path, name: str) -> None:
    rows = [f"{person},{3 * person + turn % 3},{turn}" for person in range(12) for turn in range(9)]
    data = tmp_path / "visits.csv"
    data.write_text("\n".join(["visitor,place,time", *rows]))
    config = {"habit": "{}", "combined": '{"members": [{"name": "popularity"}, {"name": "habit"}]}'}[name]
    command = ["simulate", str(data), "--recipe", name, "--config", config, "--baselines", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    tested = parquet.read_table(tmp_path / "test.parquet").to_pylist()
    hits = {row["model"]: row["mean"] for row in tested if row["metric"] == "hr@10"}
    measured = parquet.read_table(tmp_path / "rounds.parquet").to_pylist()[-1]["hr@10"]
    assert (hits[f"{name}, federated"], measured) == (1.0, 1.0)
    assert hits["popularity"] == 0.0  # 36 places, each of one person: ties count against it
