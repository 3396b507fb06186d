"""What all recipes that learn by gradients have in common."""

from typing import Any

import numpy as np
import pytest

from fedrec_protocol.manifest import RecipeChoice, TrainingPlan
from fedrec_recipes.catalogue import recipe, recipe_names, recipe_type
from fedrec_recipes.evaluation import HeldOut, mean_metric, ranks
from fedrec_recipes.gradient_recipe import GradientRecipe
from fedrec_recipes.recipe import History
from tests.unit.recipes.data import people_with_taste
from tests.unit.recipes.federate import federated_by_its_own_rule, first_version

NAMES = [name for name in recipe_names() if issubclass(recipe_type(name), GradientRecipe)]
SMALL: dict[str, dict[str, Any]] = {
    "autoencoder": {"hidden_size": 8},
    "bpr": {"dimension": 8},
    "multvae": {"hidden_size": 16, "latent_size": 8},
    "ncf": {"dimension": 8, "solver_steps": 6},
    "sasrec": {"dimension": 16},
    "two-tower": {"dimension": 16},
}


def of(name: str) -> GradientRecipe[Any]:
    chosen = recipe(RecipeChoice(name=name, config={"number_of_items": 60, **SMALL[name]}))
    assert isinstance(chosen, GradientRecipe)
    return chosen


def hit_rate(chosen: GradientRecipe[Any], shared: dict[str, np.ndarray], histories: list[History]) -> float:
    cases = [HeldOut(p, history.without_last(1), int(history.items[-1])) for p, history in enumerate(histories)]
    return mean_metric("hr@10", ranks(lambda history: chosen.score(shared, {}, history), cases))


@pytest.mark.parametrize("name", NAMES)
def test_federated_training_finds_what_people_like_as_central_training_does(name: str) -> None:
    chosen = of(name)
    histories = people_with_taste()
    train = [history.without_last(1) for history in histories]
    federated = hit_rate(chosen, federated_by_its_own_rule(chosen, train, rounds=45), histories)
    together = chosen.train_central(
        train, np.random.default_rng(0), base=first_version(chosen), epochs=20, batch_size=8
    )
    central = hit_rate(chosen, together, histories)
    # Chance is 10 of 49; ten items of the right group of about eleven unseen give 0.9 * 10 / 11 at best.
    assert central > 0.5
    assert federated > 0.95 * central


@pytest.mark.parametrize("name", NAMES)
def test_a_report_of_one_step_is_the_gradient_times_the_step(name: str) -> None:
    chosen, history = of(name), people_with_taste()[0]
    shared = first_version(chosen)
    plan = TrainingPlan(epochs=1, learning_rate=0.5)
    report = chosen.train(shared, {}, history, plan, np.random.default_rng(3)).report
    gradient = chosen.gradient(shared, history, np.random.default_rng(3)).shared
    assert set(gradient) | set(chosen.server_averages) == set(report)
    for tensor, value in gradient.items():
        np.testing.assert_allclose(report[tensor], -0.5 * value, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_training_leaves_the_base_version_as_it_was(name: str) -> None:
    chosen = of(name)
    shared = first_version(chosen)
    before = {tensor: value.copy() for tensor, value in shared.items()}
    chosen.train(shared, {}, people_with_taste()[0], TrainingPlan(epochs=2), np.random.default_rng(0))
    for tensor in shared:
        np.testing.assert_array_equal(shared[tensor], before[tensor])


@pytest.mark.parametrize("name", NAMES)
def test_a_person_who_never_trained_is_scored_as_one_who_did(name: str) -> None:
    chosen, history = of(name), people_with_taste()[0]
    shared = first_version(chosen)
    trained = chosen.train(shared, {}, history, chosen.training, np.random.default_rng(0))
    np.testing.assert_array_equal(chosen.score(shared, trained.private, history), chosen.score(shared, {}, history))


@pytest.mark.parametrize("name", NAMES)
def test_somebody_with_every_item_or_only_one_trains_without_a_nan(name: str) -> None:
    chosen = of(name)
    shared = first_version(chosen)
    for items in (np.arange(60), np.array([7])):
        report = chosen.train(shared, {}, History(items), chosen.training, np.random.default_rng(0)).report
        assert all(np.isfinite(value).all() for value in report.values())
