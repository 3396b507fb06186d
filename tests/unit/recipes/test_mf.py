"""Matrix factorisation with private user vectors."""

import numpy as np
import pytest

from fedrec_recipes.evaluation import HeldOut, mean_metric, ranks
from fedrec_recipes.implicit import solve_user_vector
from fedrec_recipes.mf import ITEM_EMBEDDINGS, USER_VECTOR, MatrixFactorisation, MatrixFactorisationConfig
from fedrec_recipes.recipe import History
from tests.unit.recipes.data import people_with_taste
from tests.unit.recipes.federate import federated_averaging, first_version

RECIPE = MatrixFactorisation(MatrixFactorisationConfig(number_of_items=60, dimension=6))


def objective(recipe: MatrixFactorisation, items: np.ndarray, histories: list[History]) -> float:
    """The iALS objective, term by term, with every user vector at its optimum."""
    config, table = recipe.config, items.astype(np.float64)
    loss, counts = 0.0, np.zeros(len(table))
    for history in histories:
        user = _solved(recipe, table, history.items)
        predicted = table @ user
        loss += ((1 - predicted[history.items]) ** 2).sum() + config.unobserved_weight * (predicted**2).sum()
        loss += config.regularisation * (len(history) + config.unobserved_weight * len(table)) * (user**2).sum()
        counts[history.items] += 1
    weight = counts + config.unobserved_weight * len(histories)
    return float(loss + config.regularisation * (weight * (table**2).sum(axis=1)).sum())


def _solved(recipe: MatrixFactorisation, table: np.ndarray, items: np.ndarray) -> np.ndarray:
    return solve_user_vector(
        table,
        items,
        unobserved_weight=recipe.config.unobserved_weight,
        regularisation=recipe.config.regularisation,
    )


def test_no_other_user_vector_has_a_smaller_loss_than_the_solved_one() -> None:
    table = np.random.default_rng(1).normal(size=(9, 3))
    items = np.array([2, 5, 7])
    solved = solve_user_vector(table, items, unobserved_weight=0.2, regularisation=0.05)

    def loss(vector: np.ndarray) -> float:
        predicted = table @ vector
        penalty = 0.05 * (3 + 0.2 * 9) * (vector**2).sum()
        return float(((1 - predicted[items]) ** 2).sum() + 0.2 * (predicted**2).sum() + penalty)

    nearby = solved + 1e-4 * np.random.default_rng(2).normal(size=(200, 3))
    assert loss(solved) < min(loss(vector) for vector in nearby)


def test_federated_training_ends_where_alternating_least_squares_ends() -> None:
    histories = people_with_taste()
    federated = federated_averaging(RECIPE, histories, rounds=40)
    central = RECIPE.train_central(histories, np.random.default_rng(0), iterations=40)
    expected = objective(RECIPE, central[ITEM_EMBEDDINGS], histories)
    assert objective(RECIPE, federated[ITEM_EMBEDDINGS], histories) == pytest.approx(expected, rel=0.01)


def test_a_few_rounds_find_what_people_like() -> None:
    histories = people_with_taste()
    train = [history.without_last(1) for history in histories]
    cases = [HeldOut(p, train[p], int(history.items[-1])) for p, history in enumerate(histories)]
    shared = federated_averaging(RECIPE, train, rounds=8)
    hits = mean_metric("hr@10", ranks(lambda history: RECIPE.score(shared, {}, history), cases))
    # Nine of ten choices are from 15 items of which 10 or so are seen; chance is 10 of 49.
    assert hits > 0.5


def test_a_person_who_never_trained_is_scored_as_one_who_did() -> None:
    histories = people_with_taste()
    shared = federated_averaging(RECIPE, histories, rounds=3)
    trained = RECIPE.train(shared, {}, histories[0], RECIPE.training, np.random.default_rng(0))
    scores = RECIPE.score(shared, {}, histories[0])
    np.testing.assert_array_equal(scores, RECIPE.score(shared, trained.private, histories[0]))
    np.testing.assert_allclose(scores, shared[ITEM_EMBEDDINGS] @ trained.private[USER_VECTOR], rtol=1e-5)


def test_a_report_holds_the_shared_tensors_and_nothing_private() -> None:
    shared = first_version(RECIPE)
    result = RECIPE.train(shared, {}, people_with_taste()[0], RECIPE.training, np.random.default_rng(0))
    assert [(name, value.shape, str(value.dtype)) for name, value in result.report.items()] == [
        (spec.name, spec.shape, "float32") for spec in RECIPE.shared
    ]
    assert set(result.private) == {USER_VECTOR}


def test_a_report_is_dense_whatever_the_person_chose() -> None:
    histories = people_with_taste()
    shared = federated_averaging(RECIPE, histories, rounds=2)
    report = RECIPE.train(shared, {}, histories[0], RECIPE.training, np.random.default_rng(0)).report
    assert np.count_nonzero(report[ITEM_EMBEDDINGS]) == report[ITEM_EMBEDDINGS].size
