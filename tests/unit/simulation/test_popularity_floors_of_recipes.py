"""A popularity floor holds in every recipe that shares a table of items, and is refused clearly where it cannot."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from fedrec_protocol.manifest import RecipeChoice, TaskManifest
from fedrec_protocol.messages import RoundKind
from fedrec_protocol.popularity_floor import ITEM_POPULARITY
from fedrec_recipes import catalogue
from fedrec_recipes.recipe import History
from simulation.engines.local import LocalEngine
from simulation.population import Population
from simulation.simulation import Simulation
from simulation.work import RoundWork
from tests.unit.recipes.data import people_with_taste
from tests.unit.simulation.tasks import manifest_of

PEOPLE, ITEMS, FLOOR = 24, 50, 4
RARE = ITEMS - 1
HISTORIES = [
    History(np.array([3, RARE, 7, 9])),
    *(History(np.unique(np.where(each.items == RARE, 0, each.items))) for each in people_with_taste(PEOPLE, ITEMS)[1:]),
]
COUNTS = np.bincount(np.concatenate([each.without_last(1).items for each in HISTORIES]), minlength=ITEMS)
TABLES: dict[str, dict[str, Any]] = {
    "mf": {"tables": ["item_embeddings"], "config": {"dimension": 4}},
    "bpr": {"tables": ["item_embeddings", "item_bias"], "config": {"dimension": 4}},
    "ncf": {"tables": ["gmf.items", "mlp.items"], "config": {"dimension": 4, "network": "neumf"}},
    "two-tower": {"tables": ["item_embeddings", "item_bias"], "config": {"dimension": 4}},
    "sasrec": {"tables": ["item_embeddings"], "config": {"dimension": 8}},
    "multvae": {"tables": ["encoder.items", "output.items", "output.bias"], "config": {}},
    "autoencoder": {"tables": ["encoder.weight", "decoder.weight", "decoder.bias"], "config": {"hidden_size": 6}},
}


def task(name: str, *, tables: list[str] | None = None, floor: bool = True, **config: Any) -> TaskManifest:
    stated = TABLES.get(name, {"tables": ["item_embeddings"], "config": {}})
    counted = {} if name in {"mf", "als"} else {"counts_people": True}
    choice = RecipeChoice(name=name, config={"number_of_items": ITEMS, **stated["config"], **counted, **config})
    content = manifest_of(catalogue.recipe(choice), goal=PEOPLE, rounds=3, metrics=()).model_dump()
    if floor:
        held = tables or stated["tables"]
        content["popularity_floor"] = {"share": ITEM_POPULARITY, "tables": held, "minimum_people": FLOOR}
    return TaskManifest.model_validate(content)


def people(manifest: TaskManifest) -> Population:
    return Population.of_recipe(catalogue.recipe(manifest.recipe), HISTORIES, seed=2)


def rows(table: Any) -> Any:
    """One row for each item, also where items are columns."""
    return table if table.shape[0] == ITEMS else table.T


@pytest.mark.parametrize("name", sorted(TABLES))
def test_rare_rows_stay_as_they_were_and_popular_ones_are_trained(name: str) -> None:
    manifest = task(name)
    simulation = Simulation(manifest, people(manifest))
    first = {key: np.array(value) for key, value in simulation.parameters.items()}
    assert len(list(simulation.run())) == 3
    share = simulation.parameters[ITEM_POPULARITY]
    # A running mean of three rounds has come to 7/8 of the share or more.
    assert (share * PEOPLE >= 0.87 * COUNTS - 1e-3).all()
    assert (share * PEOPLE <= COUNTS + 1e-3).all()
    for table in manifest.popularity_floor.tables if manifest.popularity_floor else ():
        before, after = (rows(tensors[table]) for tensors in (first, simulation.parameters))
        moved = (before != after).reshape(ITEMS, -1).any(axis=1)
        assert not moved[COUNTS < FLOOR].any(), table
        assert moved[COUNTS >= 2 * FLOOR].all(), table


@pytest.mark.parametrize("name", sorted(TABLES))
def test_without_a_floor_the_row_of_one_person_moves(name: str) -> None:
    manifest = task(name, floor=False)
    simulation = Simulation(manifest, people(manifest))
    table = TABLES[name]["tables"][0]
    first = np.array(rows(simulation.parameters[table])[RARE])
    list(simulation.run())
    assert (first != rows(simulation.parameters[table])[RARE]).any()


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_report_says_nothing_of_held_rows(name: str) -> None:
    manifest = task(name)
    simulation = Simulation(manifest, people(manifest))
    list(simulation.run())
    work = RoundWork(manifest, RoundKind.TRAINING, 4, simulation.parameters)
    total = LocalEngine(people(manifest)).contribute(work, [0], {})
    for spec in work.layout.tensors:
        if spec.name in TABLES[name]["tables"]:
            report = rows(total.vector[work.layout.slices[spec.name]].reshape(spec.shape))
            assert not report[RARE].any(), spec.name


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("als", {}, "sums of statistics have none"),
        ("bpr", {"counts_people": False}, "set counts_people"),
        ("bpr", {"remainders": 7, "tables": ["quotient_embeddings"]}, "one element for each row"),
        ("ncf", {"tables": ["mlp.first.weight"]}, "no shared tensor"),
    ],
)
def test_a_floor_that_cannot_hold_is_refused(name: str, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        task(name, **changes)
