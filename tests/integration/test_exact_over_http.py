"""Linear models learnt over HTTP from as many people and items as MovieLens-100K has are the central models."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from fedrec.manifests import manifest_for
from fedrec_protocol.initialise import initial_parameters
from fedrec_protocol.manifest import RecipeChoice, RoundPolicy
from fedrec_protocol.messages import RoundState
from fedrec_protocol.tensors import Tensors
from fedrec_recipes import catalogue
from fedrec_recipes.recipe import History, Recipe
from fedrec_recipes.statistics_recipe import StatisticsRecipe
from fedrec_sdk.evaluation import NOTHING_EVALUATED
from fedrec_sdk.report import training_report
from tests.integration.aggregator.deployment import Device
from tests.integration.aggregator.world import World

ITEMS = 1682
PEOPLE = 943
INTERACTIONS = 100_000
SOME = 20
"""People where one report has several megabytes."""
CONNECTIONS = 8


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    world = World(database_url)
    yield world
    world.stop()


def people(count: int) -> list[History]:
    """Histories of 20 items or more, about 106 in the mean; few items are in most of them, as in life."""
    generator = np.random.default_rng(100_000)
    taste = 1 / np.arange(1, ITEMS + 1) ** 0.8
    lengths = 20 + generator.geometric(1 / (INTERACTIONS / PEOPLE - 20), size=count)
    return [
        History(generator.choice(ITEMS, size=min(int(length), 700), replace=False, p=taste / taste.sum()))
        for length in lengths
    ]


def train_over_http(
    world: World, recipe: Recipe[Any], histories: list[History]
) -> tuple[Tensors, dict[str, np.ndarray], Any]:
    """Everybody's report, made by the SDK, goes to the service; the first and the published tensors, and the round."""
    policy = RoundPolicy(aggregation_goal=len(histories), minimum_reports=len(histories), deadline_seconds=600)
    manifest = manifest_for(recipe, name=f"exact-{recipe.name}", rounds=policy, round_budget=1, metrics=())
    task = world.task(**manifest.model_dump(mode="json"))

    base = initial_parameters(manifest.shared, manifest.seed)  # what a device downloads

    def contribute(device: Device, history: History) -> int:
        result = recipe.train(base, {}, history, manifest.training, np.random.default_rng(0))
        body = training_report(manifest, result, recipe.report_format.content, base, NOTHING_EVALUATED)
        return device.report(device.assigned()["assignment_id"], body).status_code

    devices = task.devices(len(histories))
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        assert set(pool.map(contribute, devices, histories)) == {201}
    world.work(2)
    round_ = task.get("/rounds/current")
    return base, task.weights(), round_


@pytest.mark.timeout(300)  # a gigabyte of reports
@pytest.mark.parametrize(("name", "count"), [("ease", PEOPLE), ("slit", SOME), ("gfcf", SOME), ("blend", SOME)])
def test_a_linear_model_learnt_over_http_is_the_central_one(world: World, name: str, count: int) -> None:
    recipe = catalogue.recipe(RecipeChoice(name=name, config={"number_of_items": ITEMS}))
    histories = people(count)

    base, found, round_ = train_over_http(world, recipe, histories)

    assert (round_["state"], round_["reports"]) == (RoundState.PUBLISHED, count)
    assert isinstance(recipe, StatisticsRecipe)
    central = recipe.train_central(histories, np.random.default_rng(0), base=base, rounds=1)
    for tensor, weights in central.items():
        if name == "gfcf":  # the only sums that are not of whole numbers
            np.testing.assert_allclose(found[tensor], weights, rtol=0, atol=1e-6)
        else:
            np.testing.assert_array_equal(found[tensor], weights)
