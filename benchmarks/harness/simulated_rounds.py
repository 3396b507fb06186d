"""One core's work on simulated rounds, in a process of its own: prints its rates and memory as JSON.

943 people with 100,000 interactions among them, 1,682 items, 32 dimensions: the size of MovieLens 100K.
"""

import json
import resource
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.harness.stacked_mf import stacked_round
from fedrec.manifests import manifest_for
from fedrec_protocol.manifest import RoundPolicy
from fedrec_protocol.messages import RoundKind
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.mf import MatrixFactorisation, MatrixFactorisationConfig
from fedrec_recipes.recipe import History
from simulation.engines.local import LocalEngine
from simulation.population import Population
from simulation.simulation import Simulation
from simulation.work import RoundWork

PEOPLE, ITEMS, DIMENSION, INTERACTIONS = 943, 1682, 32, 100_000
_SECONDS = 8.0


def histories(people: int = PEOPLE) -> list[History]:
    """Long-tailed lengths of at least 20, as in the data set, with popular items more often."""
    generator = np.random.default_rng(20261122)
    lengths = 20 + generator.exponential(INTERACTIONS / PEOPLE - 20, people).astype(int)
    popularity = 1.0 / np.arange(1, ITEMS + 1) ** 0.8
    chances = popularity / popularity.sum()
    return [
        History(generator.choice(ITEMS, min(length, ITEMS // 2), replace=False, p=chances).astype(np.int64))
        for length in lengths
    ]


def main() -> None:
    recipe = MatrixFactorisation(MatrixFactorisationConfig(number_of_items=ITEMS, dimension=DIMENSION))
    people = histories()
    population = Population.of_recipe(recipe, people, seed=1)
    work, measured = (_third_round(recipe, population, metrics) for metrics in ((), ("hr@10", "ndcg@10")))
    engine = LocalEngine(population)
    one_by_one = LocalEngine(population, is_vectorised=False)
    training = [history.without_last(1) for history in people]
    rates = _rates(
        {
            "simulated": lambda: engine.contribute(work, range(PEOPLE), {}),
            "simulated_and_measured": lambda: engine.contribute(measured, range(PEOPLE), {}),
            "one_by_one": lambda: one_by_one.contribute(work, range(PEOPLE), {}),
            "plain": lambda: _plain_round(recipe, work.base, training),
            "stacked": lambda: stacked_round(recipe.config, work.base, training, recipe.training.learning_rate),
        }
    )
    print(json.dumps({**rates, **_memory(recipe)}))


def _third_round(recipe: MatrixFactorisation, population: Population, metrics: tuple[str, ...]) -> RoundWork:
    policy = RoundPolicy(aggregation_goal=PEOPLE)
    manifest = manifest_for(recipe, name="speed", rounds=policy, round_budget=2, metrics=metrics)
    simulation = Simulation(manifest, population)
    for _ in simulation.run():
        pass
    return RoundWork(manifest, RoundKind.TRAINING, 3, simulation.parameters)


def _plain_round(recipe: MatrixFactorisation, base: Tensors, people: Sequence[History]) -> dict[str, np.ndarray]:
    """FedAvg as one would write it first: train one person, add the report, go on."""
    generator = np.random.default_rng(0)
    sums = {name: np.zeros(values.shape) for name, values in base.items()}
    for history in people:
        for name, delta in recipe.train(base, {}, history, recipe.training, generator).report.items():
            sums[name] += delta
    return {name: base[name] + total / len(people) for name, total in sums.items()}


def _rates(works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median participants per second of CPU; the works take turns, so that they have the same neighbours."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for do in works.values():
        do()
    ends = time.perf_counter() + _SECONDS
    while time.perf_counter() < ends:
        for name, do in works.items():
            started = time.process_time()
            do()
            seconds[name].append(time.process_time() - started)
    return {name: PEOPLE / statistics.median(each) for name, each in seconds.items()}


def _memory(recipe: MatrixFactorisation) -> dict[str, float]:
    """Peak memory in MB after rounds of 943 people, and after as many more rounds of ten times the people."""
    peaks = []
    for people in (PEOPLE, 10 * PEOPLE):
        crowd = Population.of_recipe(recipe, histories(people))
        policy = RoundPolicy(aggregation_goal=people)
        for _ in Simulation(manifest_for(recipe, name="memory", rounds=policy, round_budget=3), crowd).run():
            pass
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return {"peak_mb": peaks[0], "peak_mb_of_ten_times": peaks[1]}


if __name__ == "__main__":
    main()
