"""A combined model's one round in the simulator."""

import numpy as np
import pytest

from fedrec_protocol.manifest import RecipeChoice
from fedrec_recipes.combined import MEMBER_WEIGHTS, Combined, CombinedConfig
from services.aggregator.domain.errors import InvalidManifest
from simulation.population import Population
from simulation.simulation import Simulation
from tests.unit.recipes.data import people_with_taste
from tests.unit.simulation.tasks import ITEMS, manifest_of

HISTORIES = people_with_taste(100, ITEMS)
MEMBERS = (RecipeChoice(name="popularity"), RecipeChoice(name="ease", config={"regularisation": 5.0}))
PLAN = Combined(CombinedConfig(number_of_items=ITEMS, members=MEMBERS))


def test_devices_choose_by_the_interaction_that_members_were_not_trained_on_as_central_training_does() -> None:
    trained = []
    for member in PLAN.members:
        training = Simulation(
            manifest_of(member, goal=len(HISTORIES), rounds=1), Population.of_recipe(member, HISTORIES)
        )
        list(training.run())
        trained.append(training.parameters)
    population = Population.of_recipe(PLAN, HISTORIES)
    choosing = Simulation(manifest_of(PLAN, goal=len(HISTORIES), rounds=1), population, base=PLAN.combination(trained))
    measured = [record.metrics["hr@10"] for record in choosing.run()]
    expected = PLAN.train_central(HISTORIES, np.random.default_rng(0))
    assert expected[MEMBER_WEIGHTS].tolist() != [1.0, 1.0]
    for name, values in expected.items():
        np.testing.assert_array_equal(choosing.parameters[name], values)
    assert measured[1] > measured[0]  # the last round evaluates what the first chose


def test_without_trained_members_there_is_nothing_to_choose() -> None:
    with pytest.raises(InvalidManifest, match="set base_version to a version of them"):
        Simulation(manifest_of(PLAN, goal=len(HISTORIES), rounds=1), Population.of_recipe(PLAN, HISTORIES))
