"""Self-attention over sequences."""

from typing import Any

import numpy as np
import pytest

from fedrec_recipes import attention_block as block
from fedrec_recipes import sasrec_network as network
from fedrec_recipes.candidates import Candidates
from fedrec_recipes.recipe import History
from fedrec_recipes.sasrec import Sasrec, SasrecConfig
from tests.unit.recipes.federate import federated_by_its_own_rule, first_version

RECIPE = Sasrec(SasrecConfig(number_of_items=20, dimension=8, blocks=2, window=10))


def output_by_torch(torch: Any, leaves: dict[str, Any], items: Any, masks: list[Any]) -> Any:
    """The network as its papers describe it."""
    functional = torch.nn.functional
    positions = torch.arange(len(items) - 1, -1, -1)
    stream = (leaves[network.ITEM_EMBEDDINGS][items] + leaves[network.POSITION_EMBEDDINGS][positions]) * masks[0]
    names = [spec.name for spec in block.block_tensors(8)]
    for number in range(2):
        weights = {name: leaves[network.block_name(number, name)] for name in names}
        normal = functional.layer_norm(stream, (8,), weights[block.ATTENTION_GAIN], weights[block.ATTENTION_BIAS])
        projected = (normal @ weights[block.PROJECTIONS].T).split(8, dim=1)
        mixed = functional.scaled_dot_product_attention(*(value[None] for value in projected), is_causal=True)[0]
        stream = stream + mixed * masks[1 + 2 * number]
        normal = functional.layer_norm(stream, (8,), weights[block.FEED_FORWARD_GAIN], weights[block.FEED_FORWARD_BIAS])
        inner = functional.relu(functional.linear(normal, weights[block.INNER_WEIGHT], weights[block.INNER_BIAS]))
        outer = functional.linear(inner, weights[block.OUTER_WEIGHT], weights[block.OUTER_BIAS])
        stream = stream + outer * masks[2 + 2 * number]
    return functional.layer_norm(stream, (8,), leaves[network.OUTPUT_GAIN], leaves[network.OUTPUT_BIAS])


@pytest.mark.parametrize("negatives", [None, 6])
def test_gradients_equal_those_of_automatic_differentiation(negatives: int | None) -> None:
    torch = pytest.importorskip("torch")
    generator = np.random.default_rng(0)
    shared = {name: generator.normal(0, 0.4, value.shape).astype("f4") for name, value in first_version(RECIPE).items()}
    items = generator.permutation(20)[:7]
    dropout = network.Dropout.drawn(2, (6, 8), 0.3, generator)
    candidates = None if negatives is None else Candidates.drawn(items, 20, negatives, generator)

    leaves = {name: torch.tensor(value, requires_grad=True) for name, value in shared.items()}
    masks = [torch.tensor(dropout[layer]) for layer in range(5)]
    logits = output_by_torch(torch, leaves, torch.tensor(items[:-1]), masks) @ leaves[network.ITEM_EMBEDDINGS].T
    if candidates is not None:
        missing = torch.full((20,), -torch.inf)
        missing[candidates.items] = torch.tensor(candidates.log_weights)
        logits = logits + missing
    torch.nn.functional.cross_entropy(logits, torch.tensor(items[1:])).backward()

    gradients = network.next_item_gradients(shared, 2, items, dropout, candidates)
    assert gradients.keys() == leaves.keys()
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, leaves[name].grad.numpy(), atol=1e-6)


def test_an_item_that_occurs_twice_in_a_history_learns_twice() -> None:
    shared, off = first_version(RECIPE), network.Dropout.off()
    shared[network.ITEM_EMBEDDINGS][7] = shared[network.ITEM_EMBEDDINGS][3]
    apart = network.next_item_gradients(shared, 2, np.array([3, 7, 5]), off)[network.ITEM_EMBEDDINGS]
    twice = network.next_item_gradients(shared, 2, np.array([3, 3, 5]), off)[network.ITEM_EMBEDDINGS]
    np.testing.assert_allclose(apart[[3, 7]].sum(axis=0), twice[[3, 7]].sum(axis=0), atol=1e-6)


def test_sampled_candidates_stand_for_all_items_that_are_not_in_the_history() -> None:
    history, generator = np.arange(30), np.random.default_rng(0)
    values = np.exp(generator.normal(size=1000))
    estimates = []
    for _ in range(400):
        candidates = Candidates.drawn(history, 1000, 100, generator)
        assert np.isin(history, candidates.items).all()
        estimates.append(float(np.exp(candidates.log_weights) @ values[candidates.items]))
    # The partition function of a softmax, without bias: the mean of 400 is within four standard errors.
    error = np.std(estimates) / 400**0.5
    assert np.mean(estimates) == pytest.approx(values.sum(), abs=4 * error)
    assert error < 0.01 * values.sum()


def test_what_comes_later_changes_nothing_at_earlier_positions() -> None:
    shared = first_version(RECIPE)
    shared[network.POSITION_EMBEDDINGS][:] = 0.0  # positions are counted from the newest item
    long = network.Pass(shared, 2, np.array([3, 1, 4, 15]), network.Dropout.off()).output
    short = network.Pass(shared, 2, np.array([3, 1]), network.Dropout.off()).output
    np.testing.assert_allclose(long[:2], short, atol=1e-6)


def test_only_the_window_is_looked_at() -> None:
    shared = first_version(RECIPE)
    newest = np.arange(10)
    longer = History(np.concatenate([[17, 19, 18], newest]))
    np.testing.assert_array_equal(RECIPE.score(shared, {}, longer), RECIPE.score(shared, {}, History(newest)))


def test_the_order_of_a_history_is_learnt() -> None:
    # Everybody goes round the same circle of items: who knows the last one knows the next.
    histories = [History((start + np.arange(8)) % 20) for start in range(20)] * 3
    shared = federated_by_its_own_rule(RECIPE, histories, rounds=RECIPE.usual_rounds)
    hits = [int(RECIPE.score(shared, {}, History((s + np.arange(5)) % 20)).argmax()) == (s + 5) % 20 for s in range(20)]
    assert sum(hits) >= 18
