"""Lists that are varied, filtered and explained for somebody who took part in no round, whatever the task trains."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fedrec_recipes.catalogue import recipe_names
from fedrec_recipes.gradient_recipe import GradientRecipe
from fedrec_sdk import Participant
from fedrec_sdk.testing import FakeAggregator
from tests.unit.recipes.data import people_with_taste
from tests.unit.recipes.needed import recipe_of
from tests.unit.sdk.conftest import Join, popularity_manifest

ITEMS = 60
WITHOUT_ITEM_VECTORS = {"popularity", "habit", "evaluation"}
HISTORIES = people_with_taste()
TASTE = HISTORIES[0]


@pytest.fixture
def with_model(join: Join) -> Callable[[str], Participant]:
    """The first person's device with a model of this recipe that everybody trained, and no network."""

    def make(name: str) -> Participant:
        chosen = recipe_of(name, ITEMS)
        few: dict[str, Any] = {"epochs": 3, "batch_size": 8} if isinstance(chosen, GradientRecipe) else {}
        weights = chosen.train_central(HISTORIES, np.random.default_rng(0), **few)
        fields: dict[str, Any] = {
            "recipe": chosen.choice,
            "shared": chosen.shared,
            "private": chosen.private,
            "report": chosen.report_format,
            "metrics": (),
        }
        with FakeAggregator(popularity_manifest(**fields), weights) as aggregator:
            aggregator.promote(0)
            ada = join(aggregator, "ada", tuple(TASTE.items.tolist()), recipe=None)
            ada.refresh_model()
        return ada

    return make


def alike(items: list[int], vectors: np.ndarray) -> float:
    """The largest cosine similarity of two items of a list."""
    chosen = vectors[items].astype(np.float64)
    chosen /= np.maximum(np.linalg.norm(chosen, axis=1, keepdims=True), 1e-12)
    return float(np.max((chosen @ chosen.T)[np.triu_indices(len(items), 1)]))


def test_a_model_of_habits_offers_again_what_somebody_had_unless_it_is_told_not_to(
    with_model: Callable[[str], Participant],
) -> None:
    ada = with_model("habit")
    had = set(TASTE.items.tolist())
    assert {item for item, _ in ada.recommend(len(had))} == had
    assert not {item for item, _ in ada.recommend(5, exclude_seen=True)} & had


@pytest.mark.parametrize("name", sorted(set(recipe_names()) - WITHOUT_ITEM_VECTORS))
def test_lists_are_filtered_varied_and_explained(name: str, with_model: Callable[[str], Participant]) -> None:
    ada = with_model(name)
    seen = set(TASTE.items.tolist())
    plain = [item for item, _ in ada.recommend(5)]
    assert not seen & set(plain)

    assert ada.recommend(1, exclude=plain[:1])[0].item == plain[1]
    assert {item for item, _ in ada.recommend(5, allow=[*plain[:2], *seen, 10_000])} == set(plain[:2])

    vectors = recipe_of(name, ITEMS).item_vectors(ada.parameters())
    assert vectors is not None
    varied = [item for item, _ in ada.recommend(5, variety=0.9)]
    assert varied[0] == plain[0]
    assert not seen & set(varied)
    assert alike(varied, vectors) <= alike(plain, vectors)

    reasons = ada.because_of(plain[0])
    assert 1 <= len(reasons) <= 3
    assert {item for item, _ in reasons} <= seen
    assert all(gain > 0 for _, gain in reasons)


def test_a_model_that_tells_no_items_apart_has_no_varied_lists(with_model: Callable[[str], Participant]) -> None:
    with pytest.raises(TypeError, match="variety"):
        with_model("popularity").recommend(5, variety=0.5)
