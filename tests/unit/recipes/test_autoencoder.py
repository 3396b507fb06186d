"""The autoencoder recommender."""

import numpy as np
import pytest

from fedrec_protocol.manifest import TrainingPlan
from fedrec_recipes import autoencoder_network as network
from fedrec_recipes.autoencoder import Autoencoder, AutoencoderConfig
from fedrec_recipes.interaction_matrix import distribution, drop, interaction_matrix, unit_length
from fedrec_recipes.recipe import History
from tests.unit.recipes.data import people_with_taste
from tests.unit.recipes.federate import first_version

RECIPE = Autoencoder(AutoencoderConfig(number_of_items=60, hidden_size=8))
HISTORY = History(np.array([3, 17, 41]))


def test_gradients_equal_those_of_automatic_differentiation() -> None:
    torch = pytest.importorskip("torch")
    interactions = interaction_matrix(people_with_taste(people=5), 60)
    inputs, targets = unit_length(interactions), distribution(interactions)
    shared = first_version(RECIPE)
    leaves = {name: torch.tensor(value, requires_grad=True) for name, value in shared.items()}
    linear = torch.nn.functional.linear
    hidden = torch.tanh(linear(torch.tensor(inputs), leaves["encoder.weight"], leaves["encoder.bias"]))
    output = linear(hidden, leaves["decoder.weight"], leaves["decoder.bias"])
    torch.nn.functional.cross_entropy(output, torch.tensor(targets)).backward()
    for name, gradient in network.gradients(shared, inputs, targets).items():
        np.testing.assert_allclose(gradient, leaves[name].grad.numpy(), atol=1e-6)


def test_dropout_keeps_the_expected_input() -> None:
    inputs = np.ones((200, 500), dtype=np.float32)
    dropped = drop(inputs, 0.6, np.random.default_rng(0))
    assert set(np.unique(dropped).round(5)) == {0.0, 2.5}
    assert dropped.mean() == pytest.approx(1.0, abs=0.02)


def test_a_local_step_without_dropout_lowers_the_loss_of_its_own_person() -> None:
    recipe = Autoencoder(AutoencoderConfig(number_of_items=60, hidden_size=8, dropout=0.0))
    shared = first_version(recipe)
    report = recipe.train(shared, {}, HISTORY, TrainingPlan(learning_rate=1e-3), np.random.default_rng(0)).report
    after = {name: value + report[name] for name, value in shared.items()}

    def loss(tensors: dict[str, np.ndarray]) -> float:
        scores = recipe.score(tensors, {}, HISTORY).astype(np.float64)
        return float(np.log(np.exp(scores).sum()) - scores[HISTORY.items].mean())

    assert loss(after) < loss(shared)
