"""The variational autoencoder."""

import numpy as np
import pytest

from fedrec_recipes import multvae_network as network
from fedrec_recipes.multvae import ROUNDS_TRAINED, MultVae, MultVaeConfig
from tests.unit.recipes.data import people_with_taste
from tests.unit.recipes.federate import federated_by_its_own_rule, first_version

RECIPE = MultVae(MultVaeConfig(number_of_items=60, hidden_size=8, latent_size=4, annealing_rounds=4))


def test_gradients_equal_those_of_automatic_differentiation() -> None:
    torch = pytest.importorskip("torch")
    linear = torch.nn.functional.linear
    generator = np.random.default_rng(0)
    shared = {name: generator.normal(0, 0.4, value.shape).astype("f4") for name, value in first_version(RECIPE).items()}
    items = generator.permutation(60)[:7]
    noise = network.Noise(generator.random(7, dtype=np.float32), generator.standard_normal(4, dtype=np.float32))

    leaves = {name: torch.tensor(value, requires_grad=True) for name, value in shared.items()}
    hidden = torch.tanh(
        torch.tensor(noise.inputs) @ leaves[network.ENCODER_ITEMS][items] + leaves[network.ENCODER_BIAS]
    )
    mean = linear(hidden, leaves[network.MEAN_WEIGHT], leaves[network.MEAN_BIAS])
    log_variance = linear(hidden, leaves[network.LOG_VARIANCE_WEIGHT], leaves[network.LOG_VARIANCE_BIAS])
    latent = mean + torch.tensor(noise.latent) * (log_variance / 2).exp()
    decoded = torch.tanh(linear(latent, leaves[network.DECODER_WEIGHT], leaves[network.DECODER_BIAS]))
    logits = linear(decoded, leaves[network.OUTPUT_ITEMS], leaves[network.OUTPUT_BIAS])
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    divergence = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum()
    ((0.3 * divergence - torch.log_softmax(logits, 0)[items].sum()) / 7).backward()

    gradients = network.gradients(shared, items, noise, 0.3)
    assert {*gradients, ROUNDS_TRAINED} == leaves.keys()
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, leaves[name].grad.numpy(), atol=1e-6)


def test_the_weight_of_the_kl_term_grows_with_the_rounds_to_its_largest() -> None:
    histories = people_with_taste(people=5)
    weights = [RECIPE.kl_weight(federated_by_its_own_rule(RECIPE, histories, rounds=rounds)) for rounds in (0, 1, 4, 6)]
    assert weights == pytest.approx([0.0, 0.05, 0.2, 0.2])
