"""On Ray, a cohort's sum has the bits that it has in one process."""

import importlib.util
from collections.abc import Iterator

import numpy as np
import pytest

from fedrec_protocol.initialise import initial_parameters
from fedrec_protocol.messages import RoundKind
from simulation.engines.local import LocalEngine
from simulation.engines.ray import RayEngine
from simulation.population import Population
from simulation.work import RoundWork
from tests.unit.recipes.data import people_with_taste
from tests.unit.simulation.tasks import ITEMS, manifest_of, small_mf

PEOPLE = 250
POPULATION = Population.of_recipe(small_mf(), people_with_taste(PEOPLE, ITEMS), seed=2)


@pytest.fixture(scope="module")
def engine() -> Iterator[RayEngine]:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed: pip install 'fedrec[ray]'")
    engine = RayEngine(POPULATION, processes=1)
    yield engine
    engine.close()


def test_the_sum_over_tasks_is_the_sum_in_one_process(engine: RayEngine) -> None:
    manifest = manifest_of(small_mf(), goal=PEOPLE)
    work = RoundWork(manifest, RoundKind.TRAINING, 1, initial_parameters(manifest.shared, 7))
    people = list(range(PEOPLE))[::-1]
    local = LocalEngine(POPULATION).contribute(work, people, {})
    spread = engine.contribute(work, people, local.private)
    np.testing.assert_array_equal(spread.vector, local.vector)
    assert spread.reported == local.reported
    assert spread.private.keys() == local.private.keys()


def test_tasks_of_a_few_people_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 100"):
        RayEngine(POPULATION, people_per_task=10)
