"""Matrix factorisation by exact alternating least squares."""

import numpy as np

from fedrec_recipes import implicit
from fedrec_recipes.als import ITEM_EMBEDDINGS, USER_VECTOR, AlsConfig, AlternatingLeastSquares
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
    np.testing.assert_allclose(solved, expected, atol=1e-4)


def test_the_user_vector_stays_on_the_device() -> None:
    result = RECIPE.train(first_version(RECIPE), {}, HISTORIES[0], RECIPE.training, np.random.default_rng(0))
    assert set(result.private) == {USER_VECTOR}
    assert USER_VECTOR not in result.report
