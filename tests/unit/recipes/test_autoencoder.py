"""The autoencoder recommender."""

import numpy as np
import pytest

from fedrec_protocol.manifest import TrainingPlan
from fedrec_recipes import autoencoder_network as network
from fedrec_recipes.autoencoder import ITEM_SHARE, Autoencoder, AutoencoderConfig
from fedrec_recipes.evaluation import HeldOut, mean_metric, ranks
from fedrec_recipes.recipe import History
from tests.unit.recipes.data import people_with_taste
from tests.unit.recipes.federate import federated_averaging, first_version

RECIPE = Autoencoder(AutoencoderConfig(number_of_items=60, hidden_size=8))
HISTORY = History(np.array([3, 17, 41]))


def hit_rate(shared: dict[str, np.ndarray], histories: list[History]) -> float:
    cases = [HeldOut(p, history.without_last(1), int(history.items[-1])) for p, history in enumerate(histories)]
    return mean_metric("hr@10", ranks(lambda history: RECIPE.score(shared, {}, history), cases))


def test_gradients_equal_those_of_automatic_differentiation() -> None:
    torch = pytest.importorskip("torch")
    interactions = network.interaction_matrix(people_with_taste(people=5), 60)
    inputs, targets = network.unit_length(interactions), network.distribution(interactions)
    shared = first_version(RECIPE)
    leaves = {name: torch.tensor(value, requires_grad=True) for name, value in shared.items() if name != ITEM_SHARE}
    linear = torch.nn.functional.linear
    hidden = torch.tanh(linear(torch.tensor(inputs), leaves["encoder.weight"], leaves["encoder.bias"]))
    output = linear(hidden, leaves["decoder.weight"], leaves["decoder.bias"])
    torch.nn.functional.cross_entropy(output, torch.tensor(targets)).backward()
    for name, gradient in network.gradients(shared, inputs, targets).items():
        np.testing.assert_allclose(gradient, leaves[name].grad.numpy(), atol=1e-6)


def test_dropout_keeps_the_expected_input() -> None:
    inputs = np.ones((200, 500), dtype=np.float32)
    dropped = network.drop(inputs, 0.6, np.random.default_rng(0))
    assert set(np.unique(dropped).round(5)) == {0.0, 2.5}
    assert dropped.mean() == pytest.approx(1.0, abs=0.02)


def test_a_local_step_without_dropout_or_decay_lowers_the_loss_of_its_own_person() -> None:
    recipe = Autoencoder(AutoencoderConfig(number_of_items=60, hidden_size=8, dropout=0.0, weight_decay=0.0))
    shared = first_version(recipe)
    report = recipe.train(shared, {}, HISTORY, TrainingPlan(learning_rate=1e-3), np.random.default_rng(0)).report
    after = {name: value + report[name] for name, value in shared.items()}

    def loss(tensors: dict[str, np.ndarray]) -> float:
        scores = recipe.score(tensors, {}, HISTORY).astype(np.float64)
        return float(np.log(np.exp(scores).sum()) - scores[HISTORY.items].mean())

    assert loss(after) < loss(shared)


def test_federated_training_finds_what_people_like_as_central_training_does() -> None:
    histories = people_with_taste()
    train = [history.without_last(1) for history in histories]
    federated = hit_rate(federated_averaging(RECIPE, train, rounds=30), histories)
    central = hit_rate(RECIPE.train_central(train, np.random.default_rng(0), epochs=150, batch_size=20), histories)
    # Chance is 10 of 49; ten items of the right group of about eleven unseen give 0.9 * 10 / 11 at best.
    assert central > 0.5
    assert federated > 0.95 * central


def test_the_items_shares_are_the_mean_of_what_people_hold() -> None:
    histories = people_with_taste(people=30)
    shared = federated_averaging(RECIPE, histories, rounds=1)
    counts = np.bincount(np.concatenate([history.items for history in histories]), minlength=60)
    np.testing.assert_allclose(shared[ITEM_SHARE], counts / counts.sum(), atol=1e-6)


def test_the_same_generator_gives_the_same_report_bit_for_bit() -> None:
    shared = first_version(RECIPE)
    first, second = (
        RECIPE.train(shared, {}, HISTORY, TrainingPlan(epochs=3), np.random.default_rng(5)).report for _ in range(2)
    )
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


def test_training_leaves_the_base_version_as_it_was() -> None:
    shared = first_version(RECIPE)
    before = {name: value.copy() for name, value in shared.items()}
    RECIPE.train(shared, {}, HISTORY, RECIPE.training, np.random.default_rng(0))
    for name in shared:
        np.testing.assert_array_equal(shared[name], before[name])
