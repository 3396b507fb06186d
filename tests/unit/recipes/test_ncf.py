"""Neural collaborative filtering."""

import numpy as np
import pytest

from fedrec_recipes import ncf_network as network
from fedrec_recipes.ncf import Ncf, NcfConfig, Network
from fedrec_recipes.negatives import sample_negatives, spread_negatives
from fedrec_recipes.recipe import History
from tests.unit.recipes.data import people_with_taste
from tests.unit.recipes.federate import first_version


def of(kind: Network) -> Ncf:
    return Ncf(NcfConfig(number_of_items=60, network=kind, dimension=6, hidden_size=8))


@pytest.mark.parametrize("kind", Network)
def test_gradients_equal_those_of_automatic_differentiation(kind: Network) -> None:
    torch = pytest.importorskip("torch")
    generator = np.random.default_rng(0)
    base = first_version(of(kind))
    shared = {name: generator.normal(0, 0.4, value.shape).astype("f4") for name, value in base.items()}
    user = {name: generator.normal(size=6).astype("f4") for name in (network.GMF_USER, network.MLP_USER)}
    items = np.array([3, 9, 9, 41])
    targets = np.array([1, 0, 1, 0], dtype=np.float32)

    leaves = {name: torch.tensor(value, requires_grad=True) for name, value in (shared | user).items()}
    logits = leaves[network.OUTPUT_BIAS].expand(4)
    if kind is not Network.MLP:
        product = leaves[network.GMF_USER] * leaves[network.GMF_ITEMS][items]
        logits = logits + product @ leaves[network.GMF_OUTPUT]
    if kind is not Network.GMF:
        both = torch.cat([leaves[network.MLP_USER].expand(4, -1), leaves[network.MLP_ITEMS][items]], dim=1)
        first = torch.cat([leaves[network.FIRST_USER_WEIGHT], leaves[network.FIRST_ITEM_WEIGHT]], dim=1)
        hidden = torch.relu(both @ first.T + leaves[network.FIRST_BIAS])
        hidden = torch.relu(hidden @ leaves[network.SECOND_WEIGHT].T + leaves[network.SECOND_BIAS])
        logits = logits + hidden @ leaves[network.MLP_OUTPUT]
    torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.tensor(targets)).backward()

    forward = network.Pass(shared, network.Rows.of(shared, items), user)
    error = network.cross_entropy_slope(forward.logits, targets)
    gradients = forward.shared_gradient(error) | forward.user_gradient(error)
    assert {*gradients} == {name for name, leaf in leaves.items() if leaf.grad is not None}
    for name, gradient in gradients.items():
        expected = leaves[name].grad.numpy()
        rows = {network.GMF_ITEMS, network.MLP_ITEMS}
        summed = _by_item(gradient, items) if name in rows else gradient
        np.testing.assert_allclose(summed, expected, atol=1e-6)


def _by_item(rows: np.ndarray, items: np.ndarray) -> np.ndarray:
    total = np.zeros((60, rows.shape[1]), dtype=np.float32)
    for row, item in zip(rows, items, strict=True):
        total[item] += row
    return total


def test_neumf_holds_the_tensors_of_both_towers() -> None:
    names = {kind: {spec.name for spec in of(kind).shared} for kind in Network}
    assert names[Network.NEUMF] == names[Network.GMF] | names[Network.MLP]
    assert names[Network.GMF] & names[Network.MLP] == {network.OUTPUT_BIAS}


@pytest.mark.parametrize("kind", Network)
def test_a_persons_vectors_lower_their_loss_and_stay_on_the_device(kind: Network) -> None:
    chosen, history = of(kind), people_with_taste()[0]
    shared = first_version(chosen)
    result = chosen.train(shared, {}, history, chosen.training, np.random.default_rng(0))
    drawn = sample_negatives(history, 60, 4 * len(history), np.random.default_rng(0))
    targets = np.repeat([1.0, 0.0], [len(history), len(drawn)])

    def loss(user: dict[str, np.ndarray]) -> float:
        rows = network.Rows.of(shared, np.concatenate([history.items, drawn]))
        logits = network.Pass(shared, rows, user).logits
        return float(np.where(targets, np.log1p(np.exp(-logits)), np.log1p(np.exp(logits))).mean())

    assert loss(dict(result.private)) < loss({name: np.zeros(6, dtype=np.float32) for name in result.private})
    assert not set(result.private) & set(result.report)


def test_spread_negatives_are_unknown_items_from_the_whole_catalogue() -> None:
    spread = spread_negatives(History(np.array([0, 4, 5])), 10, 4)
    np.testing.assert_array_equal(spread, [1, 2, 6, 8])  # every 7/4th of 1, 2, 3, 6, 7, 8, 9
