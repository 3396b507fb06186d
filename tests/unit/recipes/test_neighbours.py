"""The recommender for user-level differential privacy: bounded by construction, and what its noise does."""

import numpy as np
import pytest

from fedrec.private_recommender import private_recommender
from fedrec_recipes.neighbours import HEAD_WEIGHTS, ITEM_COUNT, PAIRS, Neighbours, NeighboursConfig
from fedrec_recipes.packed import unpack
from fedrec_recipes.recipe import History
from simulation.population import Population
from simulation.simulation import Simulation
from tests.unit.recipes.data import people_with_taste

ITEMS, HEAD = 60, 20
CONFIG = NeighboursConfig(number_of_items=ITEMS, head=HEAD, window=3, decay=0.5, count_power=0.5)
RECIPE = Neighbours(CONFIG)
COUNTS = np.linspace(100.0, 10.0, ITEMS).astype(np.float32)  # item 0 is the most popular, the head is 0 ... 19
EMPTY = {ITEM_COUNT: np.zeros(ITEMS, np.float32), HEAD_WEIGHTS: np.zeros((HEAD, HEAD), np.float32)}
COUNTED = {**EMPTY, ITEM_COUNT: COUNTS}


def report(base: dict[str, np.ndarray], history: History) -> dict[str, np.ndarray]:
    return dict(RECIPE.train(base, {}, history, RECIPE.training, np.random.default_rng(0)).report)


def norm(tensors: dict[str, np.ndarray]) -> float:
    return float(np.sqrt(sum((value.astype(np.float64) ** 2).sum() for value in tensors.values())))


@pytest.mark.parametrize("base", [EMPTY, COUNTED], ids=["first round", "second round"])
@pytest.mark.parametrize("length", [2, 3, 17, 1000])
def test_every_history_has_norm_one_and_none_a_larger_one(base: dict[str, np.ndarray], length: int) -> None:
    generator = np.random.default_rng(length)
    for _ in range(20):
        found = norm(report(base, History(generator.integers(HEAD, size=length))))
        assert found <= 1.0  # a history of one item has no pairs, and reports nothing
        assert found == 0.0 or found == pytest.approx(1.0, abs=1e-5)


def test_pairs_are_weighted_by_distance_and_counts_within_the_head() -> None:
    # Items 40 and 50 are not in the head: without them, 3 and 7 are neighbours, and 3 and 11 two apart.
    found = unpack(report(COUNTED, History(np.array([3, 40, 7, 50, 11])))[PAIRS].astype(np.float64), HEAD)
    weight = (COUNTS / COUNTS[0]).astype(np.float64) ** -0.5
    expected = np.zeros((HEAD, HEAD))
    expected[3, 7] = 0.5 * weight[3] * weight[7]
    expected[7, 11] = 0.5 * weight[7] * weight[11]
    expected[3, 11] = 0.25 * weight[3] * weight[11]
    np.testing.assert_allclose(found, (expected + expected.T) / np.linalg.norm(expected), atol=1e-5)


def test_noise_alone_has_eigenvalues_up_to_the_edge_that_regularisation_is_relative_to() -> None:
    head, deviation = 300, 2.5
    recipe = Neighbours(NeighboursConfig(number_of_items=head, head=head, pair_deviation=deviation))
    noise = np.random.default_rng(1).normal(0, deviation, head * (head + 1) // 2)
    base = {ITEM_COUNT: np.ones(head, np.float32) * 100, HEAD_WEIGHTS: np.zeros((head, head), np.float32)}
    weights = recipe.solve(base, {ITEM_COUNT: np.zeros(head), PAIRS: noise})[HEAD_WEIGHTS]
    # The semicircle law: the largest eigenvalue is 2 s sqrt(h), and so l / (l + 2 * edge) is at most a third.
    largest = np.linalg.eigvalsh(weights.astype(np.float64) + np.diag(_lost_diagonal(noise, recipe))).max()
    assert largest == pytest.approx(1 / 3, abs=0.02)


def _lost_diagonal(noise: np.ndarray, recipe: Neighbours) -> np.ndarray:
    """The diagonal of the same weights, from another decomposition: S+ (S+ + λ)^-1 by solving."""
    matrix = unpack(noise, recipe.config.head)
    np.fill_diagonal(matrix, 0.0)
    values, vectors = np.linalg.eigh(matrix)
    positive = vectors @ np.diag(np.maximum(values, 0)) @ vectors.T
    penalty = 2.0 * 2 * recipe.config.pair_deviation * recipe.config.head**0.5
    return np.diag(np.linalg.solve(positive + penalty * np.eye(len(positive)), positive))


def test_a_larger_budget_gives_better_neighbours() -> None:
    """People's next items, under the simulator's noise and ledger, beside what popularity would find."""
    histories = people_with_taste(people=600, items=200, length=20)
    found = {}
    for epsilon in (0.1, 20.0):
        manifest = private_recommender(
            name="task", number_of_items=200, people=600, epsilon=epsilon, target_delta=1e-5, seed=3
        )
        recipe = Neighbours(NeighboursConfig.model_validate(manifest.recipe.config))
        simulation = Simulation(manifest, Population.of_recipe(recipe, histories, seed=3))
        records = list(simulation.run())
        assert len(records) == 2
        assert epsilon * 0.99 <= (records[-1].epsilon or 0.0) <= epsilon
        found[epsilon] = np.mean([_share_of_own_group(recipe, simulation, person, histories) for person in range(100)])
    assert found[0.1] < 0.5  # a quarter is chance
    assert found[20.0] > 0.75


def _share_of_own_group(recipe: Neighbours, simulation: Simulation, person: int, histories: list[History]) -> float:
    scores = recipe.score(simulation.parameters, {}, histories[person])
    scores[histories[person].items] = -np.inf
    return float(np.mean(np.argsort(-scores)[:5] % 4 == person % 4))
