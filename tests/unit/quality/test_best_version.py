"""Which version a quality run keeps."""

import numpy as np

from benchmarks.quality.best_version import BestVersion
from fedrec_protocol.manifest import RecipeChoice
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.catalogue import recipe
from fedrec_recipes.evaluation import HeldOut
from fedrec_recipes.recipe import History

POPULARITY = recipe(RecipeChoice(name="popularity", config={"number_of_items": 4}))
ASKED = [HeldOut(0, History(np.array([0])), target=2)]


def version(favourite: int) -> Tensors:
    """One item is popular, and nothing else."""
    return {spec.name: np.eye(4, dtype=spec.dtype.numpy)[favourite].reshape(spec.shape) for spec in POPULARITY.shared}


def kept(every: int | None, favourites: list[int]) -> Tensors:
    versions = BestVersion(POPULARITY, ASKED, every)
    for number, favourite in enumerate(favourites, start=1):
        versions.see(number, version(favourite))
    return versions.shared


def favourite_of(shared: Tensors) -> int:
    return int(POPULARITY.score(shared, {}, ASKED[0].history).argmax())


def test_the_version_that_ranks_validation_items_best_is_kept() -> None:
    assert favourite_of(kept(1, [1, 2, 3])) == 2


def test_what_is_not_measured_is_not_kept() -> None:
    assert favourite_of(kept(2, [2, 3, 2, 3])) == 3


def test_without_measuring_the_last_version_is_kept() -> None:
    assert favourite_of(kept(None, [2, 3, 1])) == 1
