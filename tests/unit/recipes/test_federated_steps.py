"""A round with everybody is one step of training with the data in one place: all rules that recipes learn by."""

from typing import Any

import numpy as np
import pytest

from fedrec.manifests import manifest_for
from fedrec_protocol.initialise import initial_parameters
from fedrec_protocol.manifest import RoundPolicy
from fedrec_protocol.popularity_floor import ITEM_POPULARITY
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.mf import ITEM_EMBEDDINGS, USER_GRAM, MatrixFactorisation, MatrixFactorisationConfig
from fedrec_recipes.recipe import Recipe
from fedrec_recipes.seeding import training_generator
from simulation.population import Population
from simulation.simulation import Simulation
from tests.unit.recipes.data import people_with_taste
from tests.unit.recipes.test_gradient_recipes import NAMES, of

PEOPLE = people_with_taste(people=30)
ROUNDS = 3


def federated(recipe: Recipe[Any], rounds: int, base: Tensors) -> dict[str, np.ndarray]:
    """Everybody in every round, as the simulator and the services do it: on a grid of integers."""
    policy = RoundPolicy(aggregation_goal=len(PEOPLE))
    manifest = manifest_for(recipe, name="steps", rounds=policy, round_budget=rounds, metrics=())
    simulation = Simulation(manifest, Population.of_recipe(recipe, PEOPLE, holdout=0), base=base)
    assert [record.reports for record in simulation.run()] == [len(PEOPLE)] * rounds
    return dict(simulation.parameters)


@pytest.mark.parametrize("name", NAMES)
def test_a_round_of_a_gradient_recipe_is_one_step_of_adam_on_everybodys_mean_loss(name: str) -> None:
    """Adam as in Reddi et al. 2021, algorithm 2, in float64; each gradient is held to automatic differentiation."""
    recipe = of(name)
    rate, tau = recipe.server_learning_rate, recipe.server_tau
    seeds = Population.of_recipe(recipe, PEOPLE)
    base = initial_parameters(recipe.shared, 0)
    expected = {tensor: value.astype(np.float64) for tensor, value in base.items()}
    first = {tensor: np.zeros(value.shape) for tensor, value in base.items()}
    second = {tensor: np.full(value.shape, tau**2) for tensor, value in base.items()}
    for number in range(1, ROUNDS + 1):
        version = {tensor: value.astype(np.float32) for tensor, value in expected.items()}
        drawn = [training_generator(seeds.training_seed(person), number) for person in range(len(PEOPLE))]
        gradients = [recipe.gradient(version, *each).shared for each in zip(PEOPLE, drawn, strict=True)]
        for tensor in gradients[0]:
            mean = np.mean([gradient[tensor].astype(np.float64) for gradient in gradients], axis=0)
            first[tensor] = 0.9 * first[tensor] + 0.1 * mean
            second[tensor] = 0.99 * second[tensor] + 0.01 * mean**2
            expected[tensor] -= rate * first[tensor] / (np.sqrt(second[tensor]) + tau)
        for tensor in recipe.server_averages:
            expected[tensor] += np.mean([recipe.averages(version, person)[tensor] for person in PEOPLE], axis=0)

    found = federated(recipe, ROUNDS, base)
    for tensor, value in expected.items():
        # A step has about the length `rate` in every coordinate.
        np.testing.assert_allclose(found[tensor], value, rtol=0, atol=1e-3 * rate, err_msg=tensor)


def test_a_round_of_mf_is_one_newton_step_on_the_items_with_all_ratings_in_a_matrix() -> None:
    recipe = MatrixFactorisation(MatrixFactorisationConfig(number_of_items=60, dimension=6))
    weight, ridge, rate = recipe.config.unobserved_weight, recipe.config.regularisation, 0.7
    base = federated(recipe, 1, initial_parameters(recipe.shared, 0))  # the first round only learns the curvature
    chosen = np.array([np.isin(np.arange(60), person.items) for person in PEOPLE], dtype=np.float64)
    items, popularity, gram = (base[name].astype(np.float64) for name in (ITEM_EMBEDDINGS, ITEM_POPULARITY, USER_GRAM))

    def regressed(row: np.ndarray) -> np.ndarray:
        """The ridge regression of a person's row on the items; an unobserved item counts `weight`."""
        counts = row + weight
        return np.linalg.solve(items.T @ (counts[:, None] * items) + ridge * counts.sum() * np.eye(6), items.T @ row)

    users = np.array([regressed(row) for row in chosen])
    predicted = users @ items.T
    slope = (chosen * (1 - predicted) - weight * predicted).T @ users / len(PEOPLE)
    slope -= ridge * (chosen + weight).mean(axis=0)[:, None] * items
    hessian = [(2 * share + weight) * (gram + ridge * np.eye(6)) for share in popularity]
    step = np.array([np.linalg.solve(h, s) for h, s in zip(hessian, slope, strict=True)])

    found = federated(recipe, 1, base)
    np.testing.assert_allclose(found[ITEM_EMBEDDINGS], items + rate * step, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found[ITEM_POPULARITY], 0.3 * popularity + 0.7 * chosen.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found[USER_GRAM], 0.3 * gram + 0.7 * users.T @ users / len(PEOPLE), atol=1e-6)
