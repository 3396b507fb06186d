"""`fedrec recommend-config` on data of every kind."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from fedrec.cli import app
from fedrec.data.interactions import from_columns
from fedrec_protocol.manifest import RecipeChoice, TaskManifest
from fedrec_recipes import catalogue
from fedrec_recipes.popularity import Popularity
from fedrec_recipes.recipe import History
from fedrec_recipes.slit import Slit, SlitConfig
from fedrec_recipes.statistics_recipe import StatisticsConfig
from simulation.advice.advice import task_for
from simulation.advice.candidates import (
    LARGEST_TRANSFER_BYTES,
    candidates,
    cost_of,
    label,
    largest_transfer,
    usual_recipe,
)
from simulation.advice.survey import Order, Survey, remark_on_rare_items, survey
from simulation.advice.wishes import Wishes
from tests.unit.recipes.data import people_with_taste
from tests.unit.recipes.test_blend import wandering

HEADER = "user,item,time"


def rows_of_people(people: int = 40, items: int = 30) -> list[str]:
    histories = people_with_taste(people, items, length=8)
    return [f"{person},{item},{time}" for person, h in enumerate(histories) for time, item in enumerate(h.items)]


def write(folder: Path, rows: list[str], header: str = HEADER) -> Path:
    path = folder / "interactions.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def recommend(data: Path, folder: Path, *arguments: str) -> tuple[int, str]:
    command = ["recommend-config", str(data), "--minutes", "0", "--out", str(folder / "task.json"), *arguments]
    result = CliRunner().invoke(app, command)
    return result.exit_code, result.output


def advice(data: Path, folder: Path, *arguments: str) -> dict[str, Any]:
    code, output = recommend(data, folder, "--json", *arguments)
    assert code == 0, output
    return dict(json.loads(output[output.index("{") :]))


def surveyed(users: list[str], items: list[str], times: list[float] | None = None) -> Survey:
    interactions = from_columns(users, items, None if times is None else np.array(times))
    return survey(interactions, interactions.histories())


def test_without_a_terminal_every_trial_has_a_line_of_its_own_beside_the_answer(tmp_path: Path) -> None:
    command = ["recommend-config", str(write(tmp_path, rows_of_people())), "--minutes", "0", "--json"]
    result = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "task.json")])
    trials = json.loads(result.stdout)["trials"]
    assert trials
    lines = result.stderr.splitlines()
    for trial in trials:
        assert any(line.startswith(f"{trial['recipe']}: {trial['people']} people") for line in lines), lines


def test_the_manifest_is_one_that_the_simulator_and_a_deployment_take(tmp_path: Path) -> None:
    found = advice(write(tmp_path, rows_of_people()), tmp_path)
    written = TaskManifest.model_validate_json((tmp_path / "task.json").read_bytes())
    assert written == TaskManifest.model_validate(found["manifest"])
    options = ("--manifest", str(tmp_path / "task.json"), "--out", str(tmp_path / "results"))
    result = CliRunner().invoke(app, ["simulate", str(tmp_path / "interactions.csv"), *options])
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "results" / "manifest.json").read_text()) == found["manifest"]


def test_the_simulator_refuses_a_manifest_of_another_catalogue(tmp_path: Path) -> None:
    advice(write(tmp_path, rows_of_people()), tmp_path)
    data = write(tmp_path, [*rows_of_people(), "0,another item,100"])
    result = CliRunner().invoke(app, ["simulate", str(data), "--manifest", str(tmp_path / "task.json")])
    assert result.exit_code == 2
    assert "--minimum-support" in result.output


def test_the_test_item_changes_nothing_that_is_measured(tmp_path: Path) -> None:
    def trials(last_item: Callable[[History], int]) -> list[dict[str, object]]:
        histories = [History(np.append(h.items[:-1], last_item(h))) for h in wandering()]
        rows = [f"{person},{item},{time}" for person, h in enumerate(histories) for time, item in enumerate(h.items)]
        everything = [f"everybody,{item},{item}" for item in range(60)]  # so that both have one catalogue
        found = advice(write(tmp_path, [*everything, *rows]), tmp_path)["trials"]
        assert isinstance(found, list)
        return [{**trial, "seconds": 0} for trial in found]

    assert trials(lambda h: int(h.items[-1])) == trials(lambda h: int(np.setdiff1d(np.arange(60), h.items)[0]))


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        (HEADER, ["ann,book,1", "ann,film,2", "ann,song,3"]),  # one person
        (HEADER, [f"{person},{item},0" for person in range(4) for item in "abc"]),  # every time alike
        ("user,item", [f"{person},{(person + item) % 9}" for person in range(9) for item in range(4)]),  # no times
        (HEADER, [f"p{person},i{person % 3},{person}" for person in range(9)] + rows_of_people(5, 10)),  # one item each
        (HEADER, rows_of_people(6, 10) * 3),  # duplicates
        (HEADER, [f"Zoë,漫画 {item},{item}" for item in range(5)] + rows_of_people(6, 10)),  # ids of any letters
    ],
)
def test_any_data_in_which_somebody_has_three_items_gets_a_task(tmp_path: Path, header: str, rows: list[str]) -> None:
    found = advice(write(tmp_path, rows, header), tmp_path)
    assert TaskManifest.model_validate(found["manifest"]).rounds.aggregation_goal >= 1
    assert found["trials"]


def test_data_in_which_nobody_has_three_items_is_refused(tmp_path: Path) -> None:
    code, output = recommend(write(tmp_path, ["ann,book,1", "ann,film,2", "bob,book,1"]), tmp_path)
    assert code == 2
    assert "three different items" in output


def test_a_support_that_no_item_has_leaves_nobody(tmp_path: Path) -> None:
    for rows in (rows_of_people(), [row.rpartition(",")[0] for row in rows_of_people()]):
        data = write(tmp_path, rows, header=HEADER if rows[0].count(",") == 2 else "user,item")
        code, output = recommend(data, tmp_path, "--minimum-support", "10000")
        assert code == 2
        assert "three different items" in output


def test_a_survey_counts_people_items_and_repeats() -> None:
    found = surveyed(["a", "a", "a", "a", "b"], ["x", "y", "z", "x", "x"], [1, 2, 2, 4, 1])
    assert (found.people, found.left_out, found.items, found.interactions) == (1, 1, 3, 5)
    assert found.repeated == pytest.approx(1 / 5)
    assert found.density == pytest.approx(4 / 6)
    assert found.tied == pytest.approx(1 / 2)
    assert found.order is Order.TIME


def test_a_catalogue_that_is_mostly_rare_items_is_told_how_to_leave_them_out() -> None:
    def remark(rare: int, frequent: int) -> str | None:
        items = [*range(rare), *list(range(rare, rare + frequent)) * 5]
        return remark_on_rare_items(from_columns(["a"] * len(items), [str(item) for item in items]))

    assert remark(rare=11_000, frequent=10_000) == (
        "Of 21,000 items 11,000 have fewer than 5 interactions: --minimum-support 5 leaves them out, and everything is "
        "smaller and takes less time."
    )
    assert remark(rare=10_000, frequent=11_000) is None  # most are frequent
    assert remark(rare=11_000, frequent=100) is None  # small as it is


def test_it_is_said_that_repeated_items_count_once(tmp_path: Path) -> None:
    rows = rows_of_people()
    again = write(tmp_path, [*rows, *rows[:40]])
    _, output = recommend(again, tmp_path)
    assert "11% of the rows name an item that their person had before. An item counts once" in " ".join(output.split())
    _, output = recommend(write(tmp_path, rows), tmp_path)
    assert "had before" not in output


def test_what_habits_are_worth_is_measured_and_it_is_said_how_to_simulate_them(tmp_path: Path) -> None:
    rows = rows_of_people(60)
    chosen = [row.split(",")[:2] for row in rows]
    habits = [(person, item) for person, item in chosen if int(item) % 3 == 0]
    again = [f"{person},{item},{100 + turn}" for turn in range(4) for person, item in habits]
    data = write(tmp_path, [*rows, *again])
    (remark,) = [each for each in advice(data, tmp_path, "--minutes", "0.5")["remarks"] if "recipe habit" in each]
    found = re.search(r"ndcg@10 ([0-9.]+) by recipe habit, and ([0-9.]+) by both .* --config '(.*)'", remark)
    assert found is not None
    assert min(float(found[1]), float(found[2])) > 0.5  # of two or three items that come back
    both = catalogue.recipe(RecipeChoice(name="combined", config={"number_of_items": 30, **json.loads(found[3])}))
    assert both.keeps_seen


def test_rows_sorted_by_item_are_seen_not_to_be_in_time_order() -> None:
    users = [str(person) for person in range(30) for _ in range(8)]
    items = [str(item * 7 + person) for person in range(30) for item in range(8)]
    assert surveyed(users, items).order is Order.ITEM
    parts = [*items[::2], *items[1::2]], [*users[::2], *users[1::2]]  # to train and to test, one after the other
    assert surveyed(parts[1], parts[0]).order is Order.ITEM
    shuffled = np.random.default_rng(0).permutation(len(items))
    assert surveyed([users[row] for row in shuffled], [items[row] for row in shuffled]).order is Order.FILE


def test_items_that_are_numbered_as_they_appear_are_not_sorted() -> None:
    generator = np.random.default_rng(0)
    users = np.repeat(np.arange(60), 8)
    items = np.concatenate([generator.permutation(400)[:8] for _ in range(60)])
    numbered = {item: str(number) for number, item in enumerate(dict.fromkeys(items.tolist()))}
    names = [numbered[item] for item in items.tolist()]
    ascending = np.diff([int(name) for name in names]) > 0
    assert ascending.mean() > 0.65
    assert surveyed([str(user) for user in users], names).order is Order.FILE


def test_without_an_order_in_time_no_next_item_model_is_tried() -> None:
    names = [recipe.name for recipe in candidates(100, Order.ITEM)]
    assert names == ["popularity", "ease", "sketched-gfcf", "hashed-pairs", "als"]
    large = candidates(50_000, Order.ITEM)
    assert [recipe.name for recipe in large] == ["popularity", "sketched-gfcf", "hashed-pairs", "als"]
    assert large[2].choice.config["is_ordered"] is False


def test_a_filter_has_a_column_for_sixteen_people_at_most() -> None:
    columns = [
        next(recipe for recipe in candidates(50_000, Order.ITEM, people=people) if recipe.name == "sketched-gfcf")
        for people in (3, 250, 943, 30_000)
    ]
    assert [recipe.config.dimension for recipe in columns] == [1, 15, 58, 384]


@pytest.mark.parametrize("megabytes", [1, 20, 256])
@pytest.mark.parametrize("items", [100, 5_000, 50_000, 1_000_000])
@pytest.mark.parametrize("order", Order)
def test_nothing_is_tried_that_devices_could_not_transfer(items: int, megabytes: int, order: Order) -> None:
    baseline, *others = candidates(items, order, largest_bytes=megabytes * 1_000_000)
    assert baseline.name == "popularity"
    for recipe in others:
        for tensors in (recipe.shared, recipe.report_format.tensors or recipe.shared):
            assert sum(spec.size_bytes for spec in tensors) <= megabytes * 1_000_000
    if megabytes == 256:
        assert others


def test_of_two_sketches_the_smaller_comes_first() -> None:
    sketches = [label(recipe) for recipe in candidates(50_000, Order.TIME) if recipe.name == "sketched-slit"]
    assert sketches == ["sketched-slit", "sketched-slit dimension=512"]


def test_on_a_large_catalogue_the_usual_recipe_is_a_table_of_pairs_while_they_are_few() -> None:
    def of(*lengths: int) -> str:
        return label(usual_recipe(6_000, [History(np.arange(length)) for length in lengths], Order.TIME))

    assert of(*[10] * 20_000) == "hashed-pairs"  # 45 pairs of each of 20,000 people: 150 for an item
    assert of(*[10] * 80_000) == "sketched-slit dimension=512"  # 600 for an item
    assert of(*[4_000] * 20) == "hashed-pairs"  # 127,472 pairs within 32 places of each of 20 people: 425 for an item
    assert of(*[4_000] * 30) == "sketched-slit dimension=512"
    assert usual_recipe(5_000, [], Order.TIME).name == "blend"


@pytest.mark.parametrize(
    ("items", "name", "columns"),
    [(240_000, "hashed-pairs", None), (400_000, "sketched-slit", 32), (1_500_000, "sketched-slit", 16)],
)
def test_on_any_catalogue_the_usual_recipe_is_one_that_devices_can_transfer(
    items: int, name: str, columns: int | None
) -> None:
    usual = usual_recipe(items, [History(np.arange(10))] * 1_000, Order.TIME)
    assert (usual.name, getattr(usual.config, "dimension", None)) == (name, columns)
    assert largest_transfer(usual) <= LARGEST_TRANSFER_BYTES


def test_without_order_the_usual_recipe_needs_none() -> None:
    assert usual_recipe(5_000, [], Order.ITEM).name == "ease"
    usual = usual_recipe(6_000, [History(np.arange(10))] * 1_600, Order.ITEM)
    assert (usual.name, usual.config.dimension) == ("sketched-gfcf", 100)  # a column for 16 people


def test_a_sparse_catalogue_in_order_tries_neighbours_whatever_its_size() -> None:
    for items in (100, 50_000):
        assert "hashed-pairs" in [label(recipe) for recipe in candidates(items, Order.FILE)]
        assert "hashed-pairs is_ordered=False" in [label(recipe) for recipe in candidates(items, Order.ITEM)]


def test_the_cost_is_that_of_the_files(tmp_path: Path) -> None:
    found = advice(write(tmp_path, rows_of_people(items=30)), tmp_path)
    manifest = TaskManifest.model_validate(found["manifest"])
    elements = sum(spec.element_count * spec.dtype.numpy.itemsize for spec in manifest.shared)
    cost, rounds = cost_of(manifest), manifest.stop.round_budget
    assert 0 < cost.bytes_down - (rounds + 1) * elements < (rounds + 1) * 1000  # headers, and the last evaluation
    assert cost.rounds == rounds


def test_secure_aggregation_and_noise_are_in_the_manifest_where_asked_for(tmp_path: Path) -> None:
    data = write(tmp_path, rows_of_people(40))
    masked = TaskManifest.model_validate(advice(data, tmp_path, "--privacy", "secagg")["manifest"])
    assert masked.secure_aggregation is not None
    noisy = TaskManifest.model_validate(advice(data, tmp_path, "--privacy", "dp", "--epsilon", "4")["manifest"])
    assert noisy.privacy is not None
    assert noisy.privacy.budget_epsilon == 4


def test_an_epsilon_gets_a_task_with_noise_and_the_quality_of_its_simulation(tmp_path: Path) -> None:
    data = write(tmp_path, rows_of_people(200))
    found = {epsilon: advice(data, tmp_path, "--epsilon", epsilon) for epsilon in ("0.01", "1000")}
    for epsilon, each in found.items():
        privacy = TaskManifest.model_validate(each["manifest"]).privacy
        assert privacy is not None
        assert privacy.budget_epsilon == float(epsilon)
    measured = {epsilon: each["proposal"]["expected"] for epsilon, each in found.items()}
    assert {trial["recipe"] for trial in measured.values()} == {"neighbours with noise"}
    assert measured["0.01"]["metrics"]["ndcg@10"]["high"] < measured["1000"]["metrics"]["ndcg@10"]["low"]
    assert any("no more than popularity" in remark for remark in found["0.01"]["remarks"])


def test_a_data_set_is_shown_without_any_trial(tmp_path: Path) -> None:
    data = write(tmp_path, rows_of_people(), header="customer,product,when")
    result = CliRunner().invoke(app, ["data", "show", str(data)])
    assert result.exit_code == 0, result.output
    assert "users from 'customer', items from 'product', times from 'when'" in result.output
    assert "40 (left out: 0)" in result.output
    refused = CliRunner().invoke(app, ["data", "show", str(data), "--user", "nobody"])
    assert refused.exit_code == 2
    assert "nobody" in refused.output


def test_an_epsilon_that_nothing_would_spend_is_refused(tmp_path: Path) -> None:
    code, output = recommend(write(tmp_path, rows_of_people()), tmp_path, "--privacy", "secagg", "--epsilon", "2")
    assert code == 2
    assert "--epsilon" in output


def test_few_people_cannot_hide_each_other(tmp_path: Path) -> None:
    code, output = recommend(write(tmp_path, rows_of_people(4, 10)), tmp_path, "--privacy", "secagg")
    assert code == 2
    assert "do not allow" in output


def of_many(people: int) -> Survey:
    return Survey(
        people=people,
        left_out=0,
        items=4_000,
        interactions=4_000_000,
        median_history=16,
        longest_history=811,
        density=0.005,
        repeated=0.0,
        order=Order.ITEM,
        tied=None,
    )


def test_of_more_people_than_a_round_has_places_some_are_asked() -> None:
    popularity = Popularity(StatisticsConfig(number_of_items=4_000))
    asked = task_for(Wishes(data=Path()), popularity, of_many(300_000)).rounds.aggregation_goal
    assert asked == 2**20 // 4  # reports fit into a sum, and a place may be given out four times


def test_of_many_people_the_longest_histories_are_cut_before_anybody_is_left_out() -> None:
    many = of_many(200_000)
    slit = Slit(SlitConfig(number_of_items=many.items))
    manifest = task_for(Wishes(data=Path()), slit, many)
    assert manifest.rounds.aggregation_goal == many.people
    bound = manifest.recipe.config["maximum_history"]
    assert isinstance(bound, int)
    assert many.median_history < bound <= many.longest_history
