"""Models solved from sums over people: exact, and right."""

from typing import Any

import numpy as np
import pytest

from fedrec_protocol.manifest import RecipeChoice
from fedrec_recipes.catalogue import InvalidRecipeConfig, recipe
from fedrec_recipes.ease import solve_ease
from fedrec_recipes.linear import ITEM_WEIGHTS, recency
from fedrec_recipes.packed import packed_size, positions, unpack
from fedrec_recipes.recipe import History
from fedrec_recipes.slit import CONTEXT_GRAM, NEXT_ITEM, Slit, SlitConfig
from fedrec_recipes.statistics_recipe import StatisticsRecipe
from tests.unit.recipes.data import people_with_taste

ITEMS = 60
GENERATOR = np.random.default_rng(0)  # nothing is random in these models
HISTORIES = people_with_taste()
MATRIX = np.zeros((len(HISTORIES), ITEMS))
for _row, _history in zip(MATRIX, HISTORIES, strict=True):
    _row[_history.items] = 1.0


def of(name: str, **config: Any) -> StatisticsRecipe[Any]:
    chosen = recipe(RecipeChoice(name=name, config={"number_of_items": ITEMS, **config}))
    assert isinstance(chosen, StatisticsRecipe)
    return chosen


def start(chosen: StatisticsRecipe[Any]) -> dict[str, np.ndarray]:
    """The first parameters, as a server draws them."""
    return chosen.starting_parameters(None, np.random.default_rng(0))


def federated(chosen: StatisticsRecipe[Any], histories: list[History]) -> dict[str, np.ndarray]:
    """Everybody's report as bytes would carry it, added up, solved, for as many rounds as are usual."""
    base = start(chosen)
    for _ in range(chosen.usual_rounds):
        totals = {spec.name: np.zeros(spec.shape) for spec in chosen.statistics}
        for history in reversed(histories):
            report = chosen.train(base, {}, history, chosen.training, np.random.default_rng(0)).report
            for name, value in report.items():
                totals[name] += value
        base = chosen.solve(base, totals)
    return base


@pytest.mark.parametrize(
    ("name", "config"), [("popularity", {}), ("ease", {}), ("slit", {}), ("blend", {"half_spaces": 32})]
)
def test_the_federated_model_is_the_central_one_bit_for_bit(name: str, config: dict[str, Any]) -> None:
    chosen = of(name, **config)
    central = chosen.train_central(HISTORIES, GENERATOR, base=start(chosen))
    for tensor, value in federated(chosen, HISTORIES).items():
        np.testing.assert_array_equal(value, central[tensor])


def test_the_federated_graph_filter_is_the_central_one_to_rounding() -> None:
    chosen = of("gfcf", dimension=8)
    expected = chosen.train_central(HISTORIES, GENERATOR)[ITEM_WEIGHTS]
    np.testing.assert_allclose(federated(chosen, HISTORIES)[ITEM_WEIGHTS], expected, atol=1e-6)


def test_popularity_counts_people() -> None:
    np.testing.assert_array_equal(federated(of("popularity"), HISTORIES)["item_count"], MATRIX.sum(axis=0))


def test_ease_weights_are_ridge_regressions_of_each_item_on_the_others() -> None:
    penalty = 7.0
    weights = solve_ease(MATRIX.T @ MATRIX, penalty)
    for item in (0, 17, 59):
        others = np.delete(np.arange(ITEMS), item)
        features = MATRIX[:, others]
        solved = np.linalg.solve(features.T @ features + penalty * np.eye(ITEMS - 1), features.T @ MATRIX[:, item])
        np.testing.assert_allclose(weights[others, item], solved, atol=1e-6)
    assert not np.diag(weights).any()


def test_slit_sums_are_those_of_one_context_at_a_time() -> None:
    chosen = Slit(SlitConfig(number_of_items=ITEMS, window=5))
    report = chosen.train({}, {}, HISTORIES[0], chosen.training, np.random.default_rng(0)).report
    gram, following = np.zeros((ITEMS, ITEMS)), np.zeros((ITEMS, ITEMS))
    items = HISTORIES[0].items
    for position in range(len(items) - 1):
        context = np.zeros(ITEMS)
        for age in range(min(5, position + 1)):
            context[items[position - age]] = round(32 / (1 + age / 2))
        gram += np.outer(context, context)
        following[:, items[position + 1]] += context
        if position + 2 < len(items):
            following[:, items[position + 2]] += context / 4
    np.testing.assert_array_equal(unpack(report[CONTEXT_GRAM].astype(float), ITEMS), gram)
    np.testing.assert_array_equal(report[NEXT_ITEM], np.rint(following))


def test_weights_that_fall_too_slowly_for_a_report_are_refused() -> None:
    """32 items at full weight add up to 32 x 32 x 32 in one place of the matrix, one more than int16 holds."""
    with pytest.raises(InvalidRecipeConfig, match="int16"):
        of("slit", window=32, power=1e-9)
    assert of("slit", window=31, power=1e-9).statistics


def test_slit_finds_the_item_that_always_follows() -> None:
    generator = np.random.default_rng(0)
    histories = [History((np.arange(12) + generator.integers(ITEMS)) % ITEMS) for _ in range(200)]
    chosen = of("slit")
    shared = chosen.train_central(histories, GENERATOR)
    assert int(np.argmax(chosen.score(shared, {}, History(np.array([40, 41, 42]))))) == 43


def test_the_graph_filter_is_the_one_of_the_paper() -> None:
    chosen = of("gfcf", dimension=8)
    weights = chosen.train_central(HISTORIES, GENERATOR)[ITEM_WEIGHTS]
    people, items = MATRIX.sum(axis=1), MATRIX.sum(axis=0)
    normalised = MATRIX / np.sqrt(np.outer(people, items))
    _, _, vectors = np.linalg.svd(normalised)
    low_pass = np.diag(items**-0.5) @ vectors[:8].T @ vectors[:8] @ np.diag(items**0.5)
    np.testing.assert_allclose(weights, normalised.T @ normalised + 0.3 * low_pass, atol=1e-6)


def test_only_the_last_interactions_count_when_a_history_is_too_long() -> None:
    long = History(np.arange(40))
    chosen = of("popularity", maximum_history=10)
    report = chosen.train({}, {}, long, chosen.training, np.random.default_rng(0)).report
    np.testing.assert_array_equal(np.flatnonzero(report["item_count"]), np.arange(30, 40))


@pytest.mark.parametrize(
    ("name", "config"),
    [("popularity", {}), ("ease", {}), ("slit", {}), ("gfcf", {}), ("blend", {"half_spaces": 1})],
)
def test_the_longest_history_stays_within_the_norm_bound(name: str, config: dict[str, Any]) -> None:
    chosen = of(name, **config)
    longest = History(np.random.default_rng(0).permutation(ITEMS))
    report = chosen.train(start(chosen), {}, longest, chosen.training, np.random.default_rng(0)).report
    norm = sum(float((value.astype(np.float64) ** 2).sum()) for value in report.values()) ** 0.5
    assert 0.3 * chosen.largest_norm < norm <= chosen.largest_norm


def test_packed_positions_count_the_upper_triangle_row_by_row() -> None:
    rows, columns = np.triu_indices(7)
    np.testing.assert_array_equal(positions(rows, columns, 7), np.arange(packed_size(7)))
    np.testing.assert_array_equal(positions(columns, rows, 7), np.arange(packed_size(7)))


def test_recency_halves_with_every_half_life() -> None:
    np.testing.assert_allclose(recency(5, 2.0), [0.25, 0.5**1.5, 0.5, 0.5**0.5, 1.0], rtol=1e-6)
    np.testing.assert_array_equal(recency(3, None), np.ones(3))
