"""Matrix factorisation by exact alternating least squares."""

import numpy as np

from fedrec.manifests import manifest_for
from fedrec_protocol.initialise import initial_parameters
from fedrec_protocol.manifest import RoundPolicy
from fedrec_recipes import implicit
from fedrec_recipes.als import ITEM_EMBEDDINGS, USER_VECTOR, AlsConfig, AlternatingLeastSquares
from fedrec_recipes.mf import MatrixFactorisation, MatrixFactorisationConfig
from simulation.population import Population
from simulation.simulation import Simulation
from tests.unit.recipes.data import people_with_taste
from tests.unit.recipes.federate import first_version

RECIPE = AlternatingLeastSquares(AlsConfig(number_of_items=60, dimension=6))
HISTORIES = people_with_taste()


def test_a_round_is_one_iteration_of_alternating_least_squares() -> None:
    base = first_version(RECIPE)
    totals = {spec.name: np.zeros(spec.shape) for spec in RECIPE.statistics}
    for history in HISTORIES:
        report = RECIPE.train(base, {}, history, RECIPE.training, np.random.default_rng(0)).report
        for name, value in report.items():
            totals[name] += value
    solved = RECIPE.solve(base, totals)[ITEM_EMBEDDINGS]

    weights = {"unobserved_weight": 0.3, "regularisation": 0.01}
    table = base[ITEM_EMBEDDINGS].astype(np.float64)
    users = implicit.solve_vectors(table.T @ table, table, [history.items for history in HISTORIES], **weights)
    people_of = [np.flatnonzero([item in history.items for history in HISTORIES]) for item in range(60)]
    expected = implicit.solve_vectors(users.T @ users, users, people_of, **weights)
    np.testing.assert_allclose(solved, expected, atol=1e-6)


def test_a_task_ends_where_central_training_from_the_same_start_ends() -> None:
    rounds = RoundPolicy(aggregation_goal=len(HISTORIES))
    manifest = manifest_for(RECIPE, name="als", rounds=rounds, round_budget=12, metrics=(), seed=3)
    simulation = Simulation(manifest, Population.of_recipe(RECIPE, HISTORIES, holdout=0))
    assert len(list(simulation.run())) == RECIPE.usual_rounds

    base = initial_parameters(RECIPE.shared, 3)
    central = RECIPE.train_central(HISTORIES, np.random.default_rng(0), base=base)
    np.testing.assert_allclose(simulation.parameters[ITEM_EMBEDDINGS], central[ITEM_EMBEDDINGS], atol=1e-6)
    # `mf` has the same objective, and trains centrally by alternating least squares on whole matrices in float64.
    config = MatrixFactorisationConfig(number_of_items=60, dimension=6)
    dense = MatrixFactorisation(config).train_central(HISTORIES, np.random.default_rng(0), base=base, iterations=12)
    np.testing.assert_allclose(simulation.parameters[ITEM_EMBEDDINGS], dense[ITEM_EMBEDDINGS], atol=1e-6)


def test_the_user_vector_stays_on_the_device() -> None:
    result = RECIPE.train(first_version(RECIPE), {}, HISTORIES[0], RECIPE.training, np.random.default_rng(0))
    assert set(result.private) == {USER_VECTOR}
    assert USER_VECTOR not in result.report
