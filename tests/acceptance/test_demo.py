"""The demonstration, as it is typed."""

from __future__ import annotations

import itertools
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fedrec.demo.films import FOLDER, load_films
from fedrec.demo.main import best_measured
from fedrec.manifests import manifest_for
from fedrec_protocol.manifest import RecipeChoice, RoundPolicy
from fedrec_protocol.operator_messages import RoundView
from fedrec_recipes import catalogue
from simulation.population import Population
from simulation.simulation import Simulation
from tests.acceptance.rounds import round_view

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("recipe", ["mf", "autoencoder", "sasrec", "ease", "popularity"])
def test_a_few_people_train_together_and_get_recommendations(recipe: str) -> None:
    command = [sys.executable, "-m", "fedrec", "demo", "--recipe", recipe, "--participants", "12", "--rounds", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The task is completed: the round budget of 2 is used up" in done.stdout
    for row in ("popularity", f"{recipe}, federated", f"{recipe}, trained centrally"):
        assert re.search(rf"^{row} +[01]\.\d{{4}} +[01]\.\d{{4}}$", done.stdout, re.MULTILINE), done.stdout
    assert len(re.findall(r"^ +\d+\. .+\(\d{4}\)$", done.stdout, re.MULTILINE)) == 10
    assert "/docs" in done.stdout


def test_masked_reports_give_the_weights_of_plain_ones_bit_for_bit() -> None:
    options = ["--participants", "8", "--rounds", "1", "--privacy", "secagg"]
    command = [sys.executable, "-m", "fedrec", "demo", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

    films = load_films(participants=8)
    recipe = catalogue.recipe(RecipeChoice(name="mf", config={"number_of_items": films.number_of_items}))
    rounds = RoundPolicy(aggregation_goal=8, minimum_reports=4)
    manifest = manifest_for(recipe, name="plain", rounds=rounds, round_budget=1)
    # What plain reports come to: the simulator publishes what the services do (test_simulator_equals_http.py).
    *_, last = Simulation(manifest, Population.of_recipe(recipe, films.split.train_and_validation)).run()
    assert f"SHA-256 {last.digest[:32]}" in done.stdout


def test_ctrl_c_in_the_middle_of_training_stops_everything_without_a_traceback() -> None:
    command = [sys.executable, "-m", "fedrec", "demo", "--participants", "20", "--rounds", "1000"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as demo:
        assert demo.stdout is not None
        said = "".join(itertools.takewhile(lambda line: "Dashboard" not in line, demo.stdout))
        demo.send_signal(signal.SIGINT)
        said += demo.stdout.read()
        assert demo.wait(280) == 130, said
    assert "Traceback" not in said


def test_a_recipe_that_is_not_there_is_refused_with_those_that_are() -> None:
    command = [sys.executable, "-m", "fedrec", "demo", "--recipe", "oracle"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 2
    assert "autoencoder" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_data_is_shipped_with_its_readme() -> None:
    assert "grouplens" in (FOLDER / "README.txt").read_text(encoding="utf-8").lower()
    films = load_films()
    assert len(films.split.train) == 610
    assert films.number_of_items == 3650  # films with at least 5 of the 100,836 ratings


def test_the_best_version_is_the_one_that_is_good_with_its_neighbours() -> None:
    lucky = [0.1, 0.9, 0.1, 0.2, 0.5, 0.6, 0.5]
    rounds: list[RoundView] = [round_view(number, {"ndcg@10": value}) for number, value in enumerate(lucky, start=1)]
    assert best_measured(rounds, "ndcg@10").number == 6
