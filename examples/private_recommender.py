"""Quality under user-level differential privacy: `python examples/private_recommender.py DATA --epsilon 1 5 10`.

Each person's last interaction is the test, the one before is the validation and not trained on; all items but the
history are ranked. The rounds are the simulator's: the services' own noise and ledger, 32-bit reports.
"""

import argparse
from pathlib import Path

import numpy as np

from fedrec.data.opening import read_interactions
from fedrec.data.split import leave_last_out
from fedrec.private_recommender import private_recommender
from fedrec_protocol.manifest import TaskManifest
from fedrec_recipes.evaluation import HeldOut, mean_metric, ranks
from fedrec_recipes.neighbours import Neighbours, NeighboursConfig
from fedrec_recipes.recipe import History
from simulation.population import Population
from simulation.simulation import Simulation


def main() -> None:
    """Print HR@10, NDCG@10 and what was spent, for each epsilon and seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--epsilon", type=float, nargs="+", default=[1.0, 5.0, 10.0])
    parser.add_argument("--delta", type=float, default=1e-5)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--test", action="store_true", help="score the test items; otherwise the validation items")
    options = parser.parse_args()
    interactions = read_interactions(options.data)
    split = leave_last_out(interactions.histories())
    cases = split.test if options.test else split.validation
    for epsilon in options.epsilon:
        found = []
        for seed in range(options.seeds):
            manifest = private_recommender(
                name="private",
                number_of_items=interactions.number_of_items,
                people=len(split.train),
                epsilon=epsilon,
                target_delta=options.delta,
                seed=seed,
            )
            found.append(measure(manifest, split.train_and_validation, cases))
        report(epsilon, np.array(found))


def measure(manifest: TaskManifest, histories: list[History], cases: list[HeldOut]) -> tuple[float, float, float]:
    """Run a task; HR@10, NDCG@10 and the epsilon that it spent."""
    recipe = Neighbours(NeighboursConfig.model_validate(manifest.recipe.config))
    simulation = Simulation(manifest, Population.of_recipe(recipe, histories, seed=manifest.seed))
    spent = [record.epsilon or 0.0 for record in simulation.run()][-1]
    found = ranks(lambda history: recipe.score(simulation.parameters, {}, history), cases)
    return mean_metric("hr@10", found), mean_metric("ndcg@10", found), spent


def report(epsilon: float, found: np.ndarray) -> None:
    """One line: means and deviations over the seeds."""
    (hit_rate, ndcg, spent), (hit_spread, ndcg_spread, _) = found.mean(axis=0), found.std(axis=0)
    print(
        f"epsilon {epsilon:g} (spent {spent:.3f}): HR@10 {hit_rate:.4f} +- {hit_spread:.4f}, "
        f"NDCG@10 {ndcg:.4f} +- {ndcg_spread:.4f}, {len(found)} seeds",
        flush=True,
    )


if __name__ == "__main__":
    main()
