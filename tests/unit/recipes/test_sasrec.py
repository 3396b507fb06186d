"""Self-attention over sequences."""

import numpy as np
import pytest

from fedrec_recipes import sasrec_network as network
from fedrec_recipes.recipe import History
from fedrec_recipes.sasrec import Sasrec, SasrecConfig
from tests.unit.recipes.federate import federated_by_its_own_rule, first_version

RECIPE = Sasrec(SasrecConfig(number_of_items=20, dimension=8, window=10))


def test_gradients_equal_those_of_automatic_differentiation() -> None:
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    generator = np.random.default_rng(0)
    shared = {name: generator.normal(0, 0.4, value.shape).astype("f4") for name, value in first_version(RECIPE).items()}
    items = generator.permutation(20)[:7]
    dropout = network.Dropout.drawn((6, 8), 0.3, generator)

    leaves = {name: torch.tensor(value, requires_grad=True) for name, value in shared.items()}
    table, following = leaves[network.ITEM_EMBEDDINGS], torch.tensor(items)
    embedded = table[following[:-1]] + leaves[network.POSITION_EMBEDDINGS][torch.arange(5, -1, -1)]
    stream = embedded * torch.tensor(dropout.embedded)
    projected = [functional.layer_norm(stream, (8,)) @ leaves[n].T for n in (network.QUERY, network.KEY, network.VALUE)]
    mixed = functional.scaled_dot_product_attention(*(value[None] for value in projected), is_causal=True)[0]
    stream = stream + mixed * torch.tensor(dropout.attended)
    normal = functional.layer_norm(stream, (8,))
    inner = functional.relu(functional.linear(normal, leaves[network.INNER_WEIGHT], leaves[network.INNER_BIAS]))
    outer = functional.linear(inner, leaves[network.OUTER_WEIGHT], leaves[network.OUTER_BIAS])
    output = functional.layer_norm(stream + outer * torch.tensor(dropout.fed_forward), (8,))
    functional.cross_entropy(output @ table.T, following[1:]).backward()

    gradients = network.next_item_gradients(shared, items, dropout)
    assert gradients.keys() == leaves.keys()
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, leaves[name].grad.numpy(), atol=1e-6)


def test_what_comes_later_changes_nothing_at_earlier_positions() -> None:
    shared = first_version(RECIPE)
    shared[network.POSITION_EMBEDDINGS][:] = 0.0  # positions are counted from the newest item
    long = network.Pass(shared, np.array([3, 1, 4, 15]), network.Dropout.off((4, 8))).output
    short = network.Pass(shared, np.array([3, 1]), network.Dropout.off((2, 8))).output
    np.testing.assert_allclose(long[:2], short, atol=1e-6)


def test_only_the_window_is_looked_at() -> None:
    shared = first_version(RECIPE)
    newest = np.arange(10)
    longer = History(np.concatenate([[17, 19, 18], newest]))
    np.testing.assert_array_equal(RECIPE.score(shared, {}, longer), RECIPE.score(shared, {}, History(newest)))


def test_the_order_of_a_history_is_learnt() -> None:
    # Everybody goes round the same circle of items: who knows the last one knows the next.
    histories = [History((start + np.arange(8)) % 20) for start in range(20)] * 3
    shared = federated_by_its_own_rule(RECIPE, histories, rounds=60)
    hits = [int(RECIPE.score(shared, {}, History((s + np.arange(5)) % 20)).argmax()) == (s + 5) % 20 for s in range(20)]
    assert sum(hits) >= 18
