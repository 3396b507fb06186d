"""A whole task in one process, against a slow federated average written out with plain loops."""

import gc
import tracemalloc
from typing import Any

import numpy as np
import pytest

from fedrec_protocol.initialise import initial_parameters
from fedrec_protocol.manifest import AggregationRule, Convergence, StopCriteria, TaskManifest, Weighting
from fedrec_protocol.messages import RoundKind, RoundState, TaskState
from fedrec_recipes.mf import ITEM_EMBEDDINGS, USER_VECTOR
from fedrec_recipes.recipe import History, Recipe
from fedrec_recipes.seeding import training_generator
from simulation.devices import NEVER, Load
from simulation.population import Population
from simulation.simulation import NobodyReports, Simulation
from tests.unit.recipes.data import people_with_taste
from tests.unit.simulation.tasks import ITEMS, manifest_of, small_mf

PEOPLE = 24
HISTORIES = people_with_taste(PEOPLE, ITEMS)


def slow_federated_average(
    recipe: Recipe[Any], histories: list[History], manifest: TaskManifest, seeds: list[int], rounds: int
) -> dict[str, np.ndarray]:
    """FedAvg over everybody, one float at a time: no integers, no batches, no code of the aggregator."""
    shared = {name: values.copy() for name, values in initial_parameters(manifest.shared, manifest.seed).items()}
    for number in range(1, rounds + 1):
        sums = {name: np.zeros(values.size) for name, values in shared.items()}
        weight = 0
        for person, history in enumerate(histories):
            generator = training_generator(seeds[person], number)
            result = recipe.train(shared, {}, history.without_last(1), manifest.training, generator)
            n_k = result.examples if manifest.report.weighting is Weighting.EXAMPLES else 1
            weight += n_k
            for name, delta in result.report.items():
                for place, value in enumerate(delta.reshape(-1).tolist()):
                    sums[name][place] += n_k * value
        shared = {
            name: (base + (sums[name] / weight).reshape(base.shape)).astype(np.float32) for name, base in shared.items()
        }
    return shared


def finished(simulation: Simulation) -> Simulation:
    for _ in simulation.run():
        pass
    return simulation


@pytest.mark.parametrize("weighting", Weighting)
def test_the_weights_are_those_of_a_slow_federated_average(weighting: Weighting) -> None:
    recipe = small_mf()
    manifest = manifest_of(recipe, goal=PEOPLE, rounds=4)
    manifest = manifest.model_copy(update={"report": manifest.report.model_copy(update={"weighting": weighting})})
    population = Population.of_recipe(recipe, HISTORIES, seed=5)
    seeds = [population.training_seed(person) for person in range(PEOPLE)]

    simulated = finished(Simulation(manifest, population)).parameters

    expected = slow_federated_average(recipe, HISTORIES, manifest, seeds, rounds=4)
    for name, values in expected.items():
        # Only the fixed-point grid and one rounding to float32 lie between the two.
        np.testing.assert_allclose(simulated[name], values, rtol=2e-6, atol=1e-7)
    assert not np.array_equal(expected[ITEM_EMBEDDINGS], initial_parameters(manifest.shared, 7)[ITEM_EMBEDDINGS])


def test_the_same_seeds_give_the_same_bits_in_every_round() -> None:
    def digests(seed: int) -> list[str]:
        recipe = small_mf()
        manifest = manifest_of(recipe, goal=10, rounds=4).model_copy(update={"seed": seed})
        return [record.digest for record in Simulation(manifest, Population.of_recipe(recipe, HISTORIES)).run()]

    assert digests(1) == digests(1)
    assert set(digests(1)).isdisjoint(digests(2))


def test_each_round_measures_the_version_that_it_starts_from_and_the_last_round_only_measures() -> None:
    records = list(Simulation(manifest_of(small_mf(), goal=PEOPLE, rounds=2), people()).run())
    assert [record.kind for record in records] == [RoundKind.TRAINING, RoundKind.TRAINING, RoundKind.EVALUATION]
    assert [record.version for record in records] == [1, 2, 2]
    assert [record.evaluated for record in records] == [PEOPLE] * 3
    assert records[-1].metrics["hr@10"] > records[0].metrics["hr@10"]


def test_a_task_that_no_longer_improves_completes_before_its_budget() -> None:
    manifest = manifest_of(small_mf(), goal=PEOPLE, rounds=50)
    stop = StopCriteria(round_budget=50, convergence=Convergence(metric="hr@10", patience=2, minimum_improvement=1.0))
    simulation = finished(Simulation(manifest.model_copy(update={"stop": stop}), people()))
    assert simulation.aggregator.task.state is TaskState.COMPLETED
    assert simulation.aggregator.task.rounds_published == 3


def test_the_server_rule_is_the_one_that_the_manifest_names() -> None:
    manifest = manifest_of(small_mf(), goal=PEOPLE, rounds=1, metrics=())
    half = AggregationRule(rule="fedavg", params={"learning_rate": 0.5})
    start = initial_parameters(manifest.shared, manifest.seed)[ITEM_EMBEDDINGS]

    def moved(rule: AggregationRule) -> np.ndarray:
        base = finished(Simulation(manifest_of(small_mf(), goal=PEOPLE, rounds=1), people())).parameters
        changed = manifest.model_copy(update={"aggregation": rule})
        return finished(Simulation(changed, people(), base=base)).parameters[ITEM_EMBEDDINGS] - base[ITEM_EMBEDDINGS]

    whole = moved(AggregationRule(rule="fedavg"))
    assert np.abs(whole).max() > 1e-3 * np.abs(start).max()
    np.testing.assert_allclose(moved(half), whole / 2, atol=1e-7)


def test_each_round_draws_another_cohort() -> None:
    simulation = Simulation(manifest_of(small_mf(), goal=6, rounds=5), people())
    reported = [len(simulation.private) for _ in simulation.run()]
    assert reported[0] == 6
    assert reported[-1] > 12
    assert all(USER_VECTOR in private for private in simulation.private.values())


def test_caps_on_participation_are_those_of_the_policy() -> None:
    """Half of the people, every other round, twice each: in the fifth round nobody is left."""
    manifest = manifest_of(
        small_mf(), goal=PEOPLE // 2, rounds=5, metrics=(), maximum_participations=2, minimum_separation=2
    )
    records = Simulation(manifest, people()).run()
    assert [next(records).reports for _ in range(5)] == [PEOPLE // 2] * 4 + [0]
    with pytest.raises(NobodyReports):
        list(records)


class Silent:
    """Devices of which only the first `count` people ever report, after a second each."""

    def __init__(self, count: int) -> None:
        self.count = count

    def seconds(self, round_number: int, people: np.ndarray, load: Load) -> np.ndarray:
        return np.where(people < self.count, 1.0, NEVER)


def test_a_round_below_the_goal_waits_for_its_deadline() -> None:
    manifest = manifest_of(small_mf(), goal=10, minimum_reports=4, over_selection_factor=2.4, deadline_seconds=60)
    record = next(iter(Simulation(manifest, people(), devices=Silent(5)).run()))
    assert (record.state, record.reports, record.simulated_seconds) == (RoundState.PUBLISHED, 5, 60.0)


def test_a_round_below_the_minimum_is_abandoned_and_changes_nothing() -> None:
    manifest = manifest_of(small_mf(), goal=10, minimum_reports=6, over_selection_factor=2.4)
    simulation = Simulation(manifest, people(), devices=Silent(5))
    before = simulation.parameters
    records = simulation.run()
    first, second = next(records), next(records)
    assert (first.state, first.version, second.number) == (RoundState.ABANDONED, 0, 2)
    assert simulation.parameters is before
    assert second.opened_at_seconds == first.opened_at_seconds + first.simulated_seconds + 1.0  # backs off


def people() -> Population:
    return Population.of_recipe(small_mf(), HISTORIES, seed=5)


def test_memory_does_not_grow_with_the_number_of_rounds() -> None:
    simulation = Simulation(manifest_of(small_mf(), goal=PEOPLE, rounds=150, metrics=()), people())
    records = simulation.run()
    used = []
    tracemalloc.start()
    for number, _ in enumerate(records):
        if number in {20, 149}:
            gc.collect()
            used.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    # Caches of the libraries grow by some 200 bytes a round; keeping a version for each would add its bytes.
    version_bytes = sum(spec.size_bytes for spec in small_mf().shared)
    assert used[1] - used[0] < 129 * version_bytes / 2
