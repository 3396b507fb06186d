"""A rare item's row is not moved by the one person who has it: neither in a report, nor in a version."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from fedrec_protocol import codec
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import RoundKind
from fedrec_protocol.popularity_floor import ITEM_POPULARITY, PopularityFloor
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.mf import ITEM_EMBEDDINGS
from fedrec_recipes.recipe import History
from fedrec_recipes.seeding import training_generator
from fedrec_sdk.evaluation import NOTHING_EVALUATED
from fedrec_sdk.report import training_report
from services.aggregator.domain.aggregation import catalogue
from services.aggregator.domain.aggregation.rule import RoundSum
from simulation.engines.local import LocalEngine
from simulation.population import Population
from simulation.simulation import Simulation
from simulation.work import RoundWork
from tests.unit.recipes.data import people_with_taste
from tests.unit.simulation.tasks import manifest_of, small_mf

PEOPLE, RARE, FLOOR = 30, 59, 4
MF = small_mf()
FLOORED = {"share": ITEM_POPULARITY, "tables": [ITEM_EMBEDDINGS], "minimum_people": FLOOR}


def histories() -> list[History]:
    """Nobody has the rare item but the first person, who has little else."""
    people = [
        History(np.unique(np.where(history.items == RARE, 0, history.items)))
        for history in people_with_taste(PEOPLE, RARE + 1)
    ]
    return [History(np.array([3, RARE, 7])), *people[1:]]


POPULATION = Population.of_recipe(MF, histories(), seed=2)


def task(floor: Any = FLOORED, **changes: Any) -> TaskManifest:
    content = manifest_of(MF, goal=PEOPLE, rounds=5, metrics=()).model_dump() | {"popularity_floor": floor}
    return TaskManifest.model_validate(content | changes)


def trained(manifest: TaskManifest) -> list[Tensors]:
    """The versions of a task, the first one included."""
    simulation = Simulation(manifest, POPULATION)
    return [simulation.parameters, *(simulation.parameters for _ in simulation.run())]


def test_the_planted_items_row_stays_as_it_was_and_popular_ones_are_trained() -> None:
    versions = trained(task())
    rows = [version[ITEM_EMBEDDINGS] for version in versions]
    assert all((row[RARE] == rows[0][RARE]).all() for row in rows)
    counts = np.bincount(np.concatenate([h.without_last(1).items for h in POPULATION.histories]), minlength=RARE + 1)
    # The share is a running mean with rate 0.7: twice the floor is above it from the first round on.
    assert (rows[-1][counts >= 2 * FLOOR] != rows[0][counts >= 2 * FLOOR]).any(axis=1).all()
    assert (rows[-1][counts < FLOOR] == rows[0][counts < FLOOR]).all()
    assert (counts < FLOOR).sum() > 1


def test_without_the_floor_the_planted_item_is_moved() -> None:
    first, *_, last = trained(task(floor=None))
    assert (first[ITEM_EMBEDDINGS][RARE] != last[ITEM_EMBEDDINGS][RARE]).any()


def body_of_the_owner(manifest: TaskManifest, base: Tensors) -> Tensors:
    trainer, history = POPULATION.trainer_of(0), POPULATION.histories[0]
    result = trainer.train(base, {}, history, manifest.training, training_generator(1, 3))
    body = training_report(manifest, result, trainer.content, base, NOTHING_EVALUATED)
    return codec.decode(body)


def test_the_owners_report_says_nothing_of_the_item_but_one_count() -> None:
    base = trained(task())[2]
    plain, floored = (body_of_the_owner(manifest, base) for manifest in (task(floor=None), task()))
    assert plain[ITEM_EMBEDDINGS][RARE].any()
    assert not floored[ITEM_EMBEDDINGS][RARE].any()
    assert floored[ITEM_POPULARITY][RARE] == plain[ITEM_POPULARITY][RARE] > 0


def test_the_server_holds_the_row_also_against_a_device_that_does_not_keep_to_it() -> None:
    manifest, base = task(), trained(task())[2]
    loose = RoundWork(task(floor=None), RoundKind.TRAINING, 3, base)
    total = LocalEngine(POPULATION).contribute(loose, range(PEOPLE), {})
    sums = {
        spec.name: (total.vector[loose.layout.slices[spec.name]] / loose.layout.scale).reshape(spec.shape)
        for spec in loose.layout.tensors
    }
    assert sums[ITEM_EMBEDDINGS][RARE].any()
    step = catalogue.step_of_task(manifest, base, RoundSum(sums, PEOPLE, PEOPLE), {})
    assert step.parameters is not None
    assert step.parameters[ITEM_EMBEDDINGS][RARE].tobytes() == base[ITEM_EMBEDDINGS][RARE].tobytes()
    assert (step.parameters[ITEM_POPULARITY] != base[ITEM_POPULARITY]).any()


def test_the_people_behind_a_row_are_its_share_of_the_goal_and_what_is_no_number_is_held() -> None:
    floor = PopularityFloor.model_validate(FLOORED)
    shares = np.array([0.0, 0.39, 0.4, 1.0, np.nan, -1.0], np.float32)
    held = floor.is_held({ITEM_POPULARITY: shares}, aggregation_goal=10)
    assert held.tolist() == [True, True, False, False, True, True]


def test_the_vectorised_engine_gives_the_bits_of_the_slow_one() -> None:
    fast = Simulation(task(), POPULATION)
    slow = Simulation(task(), POPULATION, engine=LocalEngine(POPULATION, is_vectorised=False))
    assert [record.digest for record in fast.run()] == [record.digest for record in slow.run()]


@pytest.mark.parametrize(
    ("floor", "reason"),
    [
        (FLOORED | {"share": "nothing"}, "no shared tensor"),
        (FLOORED | {"tables": [ITEM_POPULARITY]}, "cannot be one of the tables"),
        (FLOORED | {"tables": ["user_gram"]}, "one element for each row"),
        (FLOORED | {"minimum_people": 0}, "greater than 0"),
    ],
)
def test_a_floor_that_does_not_fit_the_model_is_refused(floor: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        task(floor=floor)
