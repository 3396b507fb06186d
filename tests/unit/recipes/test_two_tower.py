"""Two towers with item content."""

import base64
import zlib

import numpy as np
import pytest
from pydantic import ValidationError

from fedrec_protocol.registry_messages import Lineage
from fedrec_recipes import two_tower_network as network
from fedrec_recipes.item_content import pack_content, unpack_content
from fedrec_recipes.metrics import rank_of
from fedrec_recipes.recipe import History
from fedrec_recipes.two_tower import ITEM_SHARE, TwoTower, TwoTowerConfig
from tests.unit.recipes.data import people_with_taste
from tests.unit.recipes.federate import federated_by_its_own_rule, first_version

GROUPS = np.arange(60)[:, None] % 4 == np.arange(4)
"""The taste groups of `people_with_taste` as the items' features."""
RECIPE = TwoTower(TwoTowerConfig(number_of_items=60, number_of_features=4, content=pack_content(GROUPS), dimension=12))
NEW = np.arange(48, 60)


def test_gradients_equal_those_of_automatic_differentiation() -> None:
    torch = pytest.importorskip("torch")
    generator = np.random.default_rng(0)
    base = first_version(RECIPE)
    shared = {name: generator.normal(0, 0.4, value.shape).astype("f4") for name, value in base.items()}
    identity = generator.integers(2, size=(2, 60)).astype(np.float32)
    competes = generator.integers(2, size=60).astype(np.float32)
    people = [np.array([7, 3, 59]), np.array([3, 20])]
    targets = np.array([np.isin(np.arange(60), items) / len(items) for items in people], dtype=np.float32)
    competes[np.concatenate(people)] = 1.0
    inputs = (targets > 0) * generator.random((2, 60), dtype=np.float32)

    leaves = {name: torch.tensor(value, requires_grad=True) for name, value in shared.items() if name != ITEM_SHARE}
    features = torch.tensor(GROUPS.astype("f4"))
    for person, items in enumerate(people):
        has_identity = torch.tensor(identity[person])
        own = leaves[network.ITEM_EMBEDDINGS] * has_identity[:, None]
        vectors = own + features @ leaves[network.FEATURE_EMBEDDINGS]
        bias = leaves[network.ITEM_BIAS] * has_identity + features @ leaves[network.FEATURE_BIAS]
        mean = torch.tensor(inputs[person]) @ vectors
        user = torch.tanh(torch.nn.functional.linear(mean, leaves[network.USER_WEIGHT], leaves[network.USER_BIAS]))
        logits = (vectors @ user + bias).masked_fill(torch.tensor(competes) == 0, -torch.inf)
        (-torch.log_softmax(logits, 0)[items].mean() / len(people)).backward()

    catalogue = network.Catalogue(GROUPS.astype(np.float32), identity, competes)
    gradients = network.gradients(shared, catalogue, inputs, targets)
    assert gradients.keys() == leaves.keys()
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, leaves[name].grad.numpy(), atol=1e-6)


def test_an_item_that_nobody_trained_on_is_ranked_by_its_features() -> None:
    histories = people_with_taste()
    train = [History(history.items[~np.isin(history.items, NEW)]) for history in histories]
    shared = federated_by_its_own_rule(RECIPE, train, rounds=30)
    assert not shared[ITEM_SHARE][NEW].any()
    hits = [
        rank_of(RECIPE.score(shared, {}, known)[NEW], int(np.flatnonzero(target == NEW)[0]), np.zeros(0, np.int64)) <= 3
        for known, history in zip(train, histories, strict=True)
        for target in np.intersect1d(history.items, NEW)
    ]
    # Of twelve new items three are of the person's group; chance is 3 of 12, and nine of ten choices are of the group.
    assert len(hits) > 100
    assert np.mean(hits) > 0.6


def test_a_new_item_has_the_score_of_its_features_whatever_its_own_embedding() -> None:
    shared = first_version(RECIPE)
    shared[ITEM_SHARE] = np.full(60, 1 / 59, dtype=np.float32)
    shared[ITEM_SHARE][5] = 0.0
    shared[network.ITEM_EMBEDDINGS][5] = 100.0
    history = History(np.array([1, 2]))
    first = RECIPE.score(shared, {}, history)
    shared[network.ITEM_EMBEDDINGS][5] = -100.0
    np.testing.assert_array_equal(first, RECIPE.score(shared, {}, history))


def test_new_items_of_the_same_features_are_alike_in_varied_lists() -> None:
    shared = first_version(RECIPE)
    shared[ITEM_SHARE] = np.full(60, 1 / 56, dtype=np.float32)
    shared[ITEM_SHARE][[5, 9, 6]] = 0.0
    vectors = RECIPE.item_vectors(shared)
    np.testing.assert_array_equal(vectors[5], vectors[9])  # of the same group
    assert np.abs(vectors[5] - vectors[6]).max() > 0


def test_content_survives_the_way_through_a_configuration() -> None:
    bits = np.random.default_rng(0).random((7, 3)) < 0.5
    np.testing.assert_array_equal(unpack_content(pack_content(bits), 7, 3), bits)


def test_genres_of_thirty_thousand_films_fit_into_a_manifest() -> None:
    # As many kinds of film as MovieLens-1M has, 18 genres, one to three each.
    generator = np.random.default_rng(1)
    kinds = generator.permuted(np.arange(18) < generator.integers(1, 4, size=(300, 1)), axis=1)
    content = pack_content(kinds[generator.integers(300, size=30_000)])
    config = {"number_of_items": 30_000, "number_of_features": 18, "content": content}
    assert Lineage(recipe="two-tower", recipe_config=config).recipe_config == config


TOO_MUCH = base64.b64encode(zlib.compress(bytes(10_000_000))).decode()


@pytest.mark.parametrize("content", ["", "not base64!", "AAAA", pack_content(GROUPS[:30]), TOO_MUCH])
def test_content_of_another_catalogue_is_refused(content: str) -> None:
    with pytest.raises(ValidationError, match="content"):
        TwoTowerConfig(number_of_items=60, number_of_features=4, content=content)
