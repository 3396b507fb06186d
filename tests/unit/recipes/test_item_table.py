"""Item embeddings from two small tables."""

import numpy as np
import pytest

from fedrec_recipes.bpr import BayesianPersonalisedRanking, BprConfig
from fedrec_recipes.evaluation import HeldOut, mean_metric, ranks
from fedrec_recipes.item_table import QUOTIENT_EMBEDDINGS, REMAINDER_EMBEDDINGS, ItemTable
from tests.unit.recipes.data import people_with_taste
from tests.unit.recipes.federate import federated_by_its_own_rule

TABLE = ItemTable(number_of_items=11, dimension=3, remainders=4)


def parameters() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {spec.name: generator.normal(size=spec.shape).astype(np.float32) for spec in TABLE.specs}


def test_an_item_is_the_product_of_its_quotients_row_and_its_remainders() -> None:
    tensors = parameters()
    table = TABLE.of(tensors)
    assert table.shape == (11, 3)
    for item, row in enumerate(table):
        expected = tensors[QUOTIENT_EMBEDDINGS][item // 4] * tensors[REMAINDER_EMBEDDINGS][item % 4]
        np.testing.assert_array_equal(row, expected)
    assert len(np.unique(table, axis=0)) == 11


def test_the_gradient_is_that_of_automatic_differentiation() -> None:
    torch = pytest.importorskip("torch")
    tensors = parameters()
    by_table = np.random.default_rng(1).normal(size=(11, 3)).astype(np.float32)
    tracked = {name: torch.tensor(value, requires_grad=True) for name, value in tensors.items()}
    items = torch.arange(11)
    table = tracked[QUOTIENT_EMBEDDINGS][items // 4] * tracked[REMAINDER_EMBEDDINGS][items % 4]
    (table * torch.tensor(by_table)).sum().backward()
    for name, value in TABLE.gradient(tensors, by_table).items():
        np.testing.assert_allclose(value, tracked[name].grad.numpy(), atol=1e-5)


def test_twelve_thousand_items_in_32_dimensions_need_less_than_a_fiftieth_of_the_rows() -> None:
    whole, composed = (ItemTable(12_101, 32, remainders).specs for remainders in (None, 110))
    assert sum(spec.element_count for spec in composed) < sum(spec.element_count for spec in whole) / 50


def test_a_recommender_learns_with_shared_rows_through_its_own_rule() -> None:
    # The groups of taste are items modulo 4, so that neither a quotient nor a remainder modulo 7 gives them away.
    recipe = BayesianPersonalisedRanking(BprConfig(number_of_items=60, dimension=8, remainders=7))
    histories = people_with_taste()
    train = [history.without_last(1) for history in histories]
    shared = federated_by_its_own_rule(recipe, train, rounds=45)
    cases = [HeldOut(p, known, int(h.items[-1])) for p, (known, h) in enumerate(zip(train, histories, strict=True))]
    chance = 10 / 49
    assert mean_metric("hr@10", ranks(lambda history: recipe.score(shared, {}, history), cases)) > 1.5 * chance
