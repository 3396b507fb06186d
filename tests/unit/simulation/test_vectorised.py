"""Training many people together gives the bits of training each of them alone."""

import numpy as np
import pytest

from fedrec_protocol.initialise import initial_parameters
from fedrec_protocol.manifest import RecipeChoice
from fedrec_protocol.messages import RoundKind
from fedrec_protocol.popularity_floor import ITEM_POPULARITY
from fedrec_recipes import catalogue
from fedrec_recipes.bpr import USER_VECTOR, BayesianPersonalisedRanking, BprConfig
from fedrec_recipes.mf import USER_GRAM, MatrixFactorisation
from fedrec_recipes.recipe import History
from fedrec_sdk.trainer import RecipeTrainer
from simulation.engines.local import LocalEngine
from simulation.population import Population
from simulation.vectorised.catalogue import vectorised
from simulation.vectorised.statistics import can_be_summed
from simulation.work import RoundWork
from tests.unit.recipes.data import people_with_taste
from tests.unit.simulation.tasks import ITEMS, manifest_of, small_mf


def a_round(recipe: MatrixFactorisation, kind: RoundKind = RoundKind.TRAINING, *, is_first: bool = False) -> RoundWork:
    """A round of a task, at its start or when the statistics are known already."""
    base = dict(initial_parameters(recipe.shared, 7))
    if not is_first:
        generator = np.random.default_rng(1)
        vectors = generator.normal(size=(50, recipe.config.dimension))
        base[USER_GRAM] = (vectors.T @ vectors / 50).astype(np.float32)
        base[ITEM_POPULARITY] = generator.random(ITEMS).astype(np.float32)
    return RoundWork(manifest_of(recipe, goal=40), kind, 3, base)


@pytest.mark.parametrize("kind", RoundKind)
@pytest.mark.parametrize("is_first", [True, False])
def test_the_vectorised_sum_has_the_bits_of_training_people_one_by_one(kind: RoundKind, is_first: bool) -> None:
    recipe = small_mf()
    population = Population.of_recipe(recipe, people_with_taste(40, ITEMS), seed=3)
    work = a_round(recipe, kind, is_first=is_first)

    together = LocalEngine(population).contribute(work, range(40), {})
    alone = LocalEngine(population, is_vectorised=False).contribute(work, range(40), {})

    np.testing.assert_array_equal(together.vector, alone.vector)
    assert together.reported == alone.reported
    for person in alone.private:
        for name, values in alone.private[person].items():
            np.testing.assert_array_equal(together.private[person][name], values)


@pytest.mark.parametrize("remainders", [None, 7])
@pytest.mark.parametrize(
    ("kind", "metrics"),
    [(RoundKind.TRAINING, ("hr@10",)), (RoundKind.TRAINING, ()), (RoundKind.EVALUATION, ("hr@10",))],
)
def test_bpr_has_the_bits_of_training_people_one_by_one(
    kind: RoundKind, metrics: tuple[str, ...], remainders: int | None
) -> None:
    recipe = BayesianPersonalisedRanking(BprConfig(number_of_items=ITEMS, dimension=5, remainders=remainders))
    histories = [*people_with_taste(20, ITEMS), *people_with_taste(20, ITEMS, length=30)]
    # The same history twice: who comes next must not be given what was remembered of another table or person.
    population = Population.of_recipe(recipe, [*histories, histories[-1]], seed=3)
    manifest = manifest_of(recipe, goal=41, metrics=metrics)
    first = RoundWork(manifest, kind, 1, initial_parameters(recipe.shared, 7))
    second = RoundWork(manifest, kind, 2, initial_parameters(recipe.shared, 8))
    together, alone = LocalEngine(population), LocalEngine(population, is_vectorised=False)
    assert vectorised(recipe) is not None
    for work in (first, second):
        expected = alone.contribute(work, range(41), {})
        found = together.contribute(work, range(41), {})
        np.testing.assert_array_equal(found.vector, expected.vector)
        for person, kept in expected.private.items():
            np.testing.assert_array_equal(found.private[person][USER_VECTOR], kept[USER_VECTOR])


def test_people_with_too_little_or_unknown_items_are_treated_as_the_sdk_treats_them() -> None:
    recipe = small_mf()
    histories = [
        History(np.array([1, 2, 3])),
        History(np.array([5])),  # its only interaction is held out: nothing to train on
        History(np.array([4, ITEMS + 3, 9, 8])),  # an item that the model does not have
    ]
    population = Population.of_recipe(recipe, histories, seed=3)
    total = LocalEngine(population).contribute(a_round(recipe), range(3), {})
    assert sorted(total.reported) == [0, 2]


def test_a_subclass_is_trained_by_its_own_method() -> None:
    class Other(MatrixFactorisation):
        name = "other"

    assert vectorised(small_mf()) is not None
    assert vectorised(Other(small_mf().config)) is None


@pytest.mark.parametrize(
    "name", ["popularity", "ease", "slit", "blend", "gfcf", "sketched-slit", "sketched-gfcf", "hashed-pairs"]
)
@pytest.mark.parametrize("kind", RoundKind)
def test_statistics_that_are_added_up_at_once_have_the_bits_of_reports_one_by_one(name: str, kind: RoundKind) -> None:
    recipe = catalogue.recipe(RecipeChoice(name=name, config={"number_of_items": ITEMS}))
    people = people_with_taste(15, ITEMS) + people_with_taste(15, ITEMS, length=ITEMS - 5)
    population = Population.of_recipe(recipe, [*people, History(np.array([5]))], seed=3)
    base = {spec.name: np.ones(spec.shape, np.float32) for spec in recipe.shared}
    work = RoundWork(manifest_of(recipe, goal=30), kind, 1, base)

    together = LocalEngine(population).contribute(work, range(31), {})
    alone = LocalEngine(population, is_vectorised=False).contribute(work, range(31), {})

    np.testing.assert_array_equal(together.vector, alone.vector)
    assert together.reported == alone.reported
    assert together.vector[: work.layout.model_size].any() == (kind is RoundKind.TRAINING)
    assert can_be_summed(RecipeTrainer(recipe), work) == (kind is RoundKind.TRAINING)
