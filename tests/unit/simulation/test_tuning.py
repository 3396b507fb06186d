"""`fedrec tune`: hyperparameters by what simulated devices measure."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from fedrec.cli import app
from fedrec_protocol.manifest import RecipeChoice, TaskManifest
from fedrec_recipes.catalogue import recipe
from fedrec_recipes.recipe import History
from simulation.tuning.space import search_space
from tests.unit.recipes.test_blend import wandering

ITEMS = 60


def write(path: Path, histories: list[History]) -> Path:
    rows = [f"{person} {' '.join(map(str, history.items))}" for person, history in enumerate(histories)]
    everything = f"everybody {' '.join(map(str, range(ITEMS)))}"  # so that item i has the number i
    path.write_text("\n".join([everything, *rows]) + "\n")
    return path


def tune(data: Path, *arguments: str, recipe: str = "slit", trials: int = 3) -> Result:
    out = data.with_suffix(".json")
    command = ["tune", str(data), "--recipe", recipe, "--trials", str(trials), "--out", str(out), *arguments]
    return CliRunner().invoke(app, command)


def ndcgs(result: Result) -> list[float]:
    return [float(value) for value in re.findall(r"^trial.*ndcg@10 ([0-9.]+)", result.output, re.MULTILINE)]


def test_the_best_trial_becomes_a_task_and_is_no_worse_than_the_defaults(tmp_path: Path) -> None:
    result = tune(write(tmp_path / "walks.txt", wandering()))
    assert result.exit_code == 0, result.output
    measured = ndcgs(result)
    assert len(measured) == 3
    assert f"ndcg@10 {max(measured):.4f} ({measured[0]:.4f} with the defaults)" in result.output
    manifest = TaskManifest.model_validate_json((tmp_path / "walks.json").read_bytes())
    assert recipe(manifest.recipe).config.number_of_items == ITEMS
    assert set(manifest.recipe.config) >= {"regularisation", "power", "offset", "window"}


def test_a_seed_repeats_a_search(tmp_path: Path) -> None:
    data = write(tmp_path / "walks.txt", wandering())
    outputs = []
    for seed in ("3", "3", "4"):
        tune(data, "--seed", seed)
        outputs.append((tmp_path / "walks.json").read_text().replace(f'"seed": {seed}', ""))
    assert outputs[0] == outputs[1] != outputs[2]


def test_test_items_change_nothing(tmp_path: Path) -> None:
    others = [History(np.append(h.items[:-1], np.setdiff1d(np.arange(ITEMS), h.items)[0])) for h in wandering()]
    results = [tune(write(tmp_path / "walks.txt", histories)).output for histories in (wandering(), others)]
    assert results[0] == results[1]


def test_what_the_operator_fixed_is_not_searched(tmp_path: Path) -> None:
    result = tune(write(tmp_path / "walks.txt", wandering()), "--config", '{"power": 2.0, "window": 7}', trials=2)
    manifest = TaskManifest.model_validate_json((tmp_path / "walks.json").read_bytes())
    assert (manifest.recipe.config["power"], manifest.recipe.config["window"]) == (2.0, 7)
    assert "power" not in result.output


def test_a_recipe_trained_by_steps_has_its_learning_rate_searched() -> None:
    chosen = recipe(RecipeChoice(name="mf", config={"number_of_items": ITEMS}))
    space = search_space(chosen, {})
    rate = chosen.training.learning_rate
    assert (space["learning_rate"].low, space["learning_rate"].high) == pytest.approx((rate / 8, rate * 8))
    assert space["dimension"].is_whole


def test_shares_stay_below_one() -> None:
    chosen = recipe(RecipeChoice(name="multvae", config={"number_of_items": ITEMS}))
    dropout = search_space(chosen, {})["dropout"]
    assert (dropout.low, dropout.high) == (0.0, 0.95)


def test_a_hopeless_trial_is_given_up(tmp_path: Path) -> None:
    """A learning rate eight times too large is seen to fail before its last round."""
    data = write(tmp_path / "walks.txt", wandering()[:60])
    result = tune(data, "--rounds", "4", "--config", '{"dimension": 4}', recipe="mf", trials=16)
    assert "given up" in result.output, result.output


@pytest.mark.parametrize(("name", "words"), [("popularity", "nothing to search"), ("oracle", "unknown recipe")])
def test_what_cannot_be_tuned_is_refused_in_words(tmp_path: Path, name: str, words: str) -> None:
    result = tune(write(tmp_path / "walks.txt", wandering()), recipe=name)
    assert result.exit_code == 2
    assert words in result.output


def test_without_optuna_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "optuna" else find(name))
    result = tune(write(tmp_path / "walks.txt", wandering()))
    assert result.exit_code == 1
    assert "fedrec[tuning]" in result.output
