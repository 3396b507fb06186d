"""The next-item model in a subspace: what it is when nothing is cut off, what it keeps when much is, what it costs."""

import numpy as np
import pytest

from fedrec.manifests import manifest_for
from fedrec_protocol.manifest import RecipeChoice, RoundPolicy
from fedrec_recipes import catalogue
from fedrec_recipes.contexts import recent_contexts
from fedrec_recipes.recipe import History
from fedrec_recipes.sketched_slit import SketchedSlit, SketchedSlitConfig
from fedrec_recipes.slit import Slit, SlitConfig
from fedrec_recipes.subspace import BASIS
from simulation.population import Population
from simulation.simulation import Simulation
from tests.unit.recipes.data import people_with_taste

ITEMS = 60
HISTORIES = people_with_taste(400, ITEMS)


def sketched(**config: object) -> SketchedSlit:
    return SketchedSlit(SketchedSlitConfig.model_validate({"number_of_items": ITEMS, **config}))


def hits(recipe: SketchedSlit | Slit, shared: dict[str, np.ndarray]) -> int:
    """People whose last item is among the ten best."""
    found = 0
    for history in HISTORIES:
        known = history.without_last(1)
        scores = recipe.score(shared, {}, known)
        scores[known.items] = -np.inf
        found += int(history.items[-1] in np.argsort(-scores)[:10])
    return found


def test_with_a_column_for_each_item_it_is_the_whole_ridge_regression() -> None:
    recipe = sketched(dimension=ITEMS, popularity_damping=0.0, regularisation=4.0)
    shared = recipe.train_central(HISTORIES, np.random.default_rng(0))
    contexts, following = [], []
    for history in HISTORIES:
        for position in range(1, len(history)):
            contexts.append(naive_context(history.items[:position]))
            following.append(np.eye(ITEMS)[history.items[position]])
    known, next_item = np.array(contexts), np.array(following)
    people_per_item = sum(len(history) for history in HISTORIES) / ITEMS
    weights = np.linalg.solve(known.T @ known + 4.0 * people_per_item * np.eye(ITEMS), known.T @ next_item)
    for history in HISTORIES[:20]:
        # Both bases are float16, with 11 significant bits.
        np.testing.assert_allclose(recipe.score(shared, {}, history), naive_context(history.items) @ weights, atol=3e-4)


def naive_context(items: np.ndarray) -> np.ndarray:
    context = np.zeros(ITEMS)
    for age, item in enumerate(items[::-1]):
        context[item] = (1 + age / 2) ** -1.25
    return context


def test_a_fraction_of_the_columns_keeps_most_of_the_quality_and_rounds_improve_it() -> None:
    recipe, whole = sketched(dimension=6), Slit(SlitConfig(number_of_items=ITEMS))
    best = hits(whole, whole.train_central(HISTORIES, np.random.default_rng(0)))
    first, third = (
        hits(recipe, recipe.train_central(HISTORIES, np.random.default_rng(0), rounds=rounds)) for rounds in (1, 3)
    )
    assert first < third
    assert third >= 0.9 * best


def test_the_federated_model_is_the_central_one_to_rounding() -> None:
    recipe = sketched(dimension=8)
    manifest = manifest_for(
        recipe, name="task", rounds=RoundPolicy(aggregation_goal=50), round_budget=3, metrics=(), seed=1
    )
    simulation = Simulation(manifest, Population.of_recipe(recipe, HISTORIES[:50], holdout=0))
    base = dict(simulation.parameters)
    for _ in simulation.run():
        pass
    central = recipe.train_central(HISTORIES[:50], np.random.default_rng(0), base=base)
    for history in HISTORIES[:10]:
        # float16 rounds a column of the basis differently where the sums differ in their last bit.
        np.testing.assert_allclose(
            recipe.score(dict(simulation.parameters), {}, history), recipe.score(central, {}, history), atol=2e-3
        )


def test_a_context_is_the_weighted_sum_of_the_rows_before_it() -> None:
    rows = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    weights = np.array([1.0, 0.5, 0.25])
    for position, context in enumerate(recent_contexts(rows, weights), start=1):
        expected = sum(weights[age] * rows[position - 1 - age] for age in range(min(3, position)))
        np.testing.assert_allclose(context, expected, atol=1e-6)


def test_a_basis_with_long_rows_takes_no_report_over_the_norm_bound() -> None:
    recipe = sketched(dimension=4)
    base = {BASIS: np.full((ITEMS, 4), 1000.0, dtype=np.float16)}
    report = recipe.train(base, {}, History(np.arange(ITEMS)), recipe.training, np.random.default_rng(0)).report
    norm = sum(float((value.astype(np.float64) ** 2).sum()) for value in report.values()) ** 0.5
    assert 0.3 * recipe.largest_norm < norm <= recipe.largest_norm


def test_three_reports_for_3706_items_stay_under_a_megabyte_each() -> None:
    recipe = SketchedSlit(SketchedSlitConfig(number_of_items=3706))
    assert sum(spec.size_bytes for spec in recipe.statistics) < 1_000_000
    assert recipe.usual_rounds == 3


def test_histories_without_an_order_are_sent_to_the_recipe_for_them() -> None:
    """`is_ordered` was an option: manifests that have it written out are read while it is on."""
    config = {"number_of_items": ITEMS, "is_ordered": True}
    assert catalogue.recipe(RecipeChoice(name="sketched-slit", config=config)).config.number_of_items == ITEMS
    with pytest.raises(catalogue.InvalidRecipeConfig, match="sketched-gfcf"):
        catalogue.recipe(RecipeChoice(name="sketched-slit", config=config | {"is_ordered": False}))
