"""The variational autoencoder with multinomial likelihood (`multvae`)."""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveInt

from fedrec_protocol.tensors import Initialiser, InitialiserKind, Tensors, TensorSpec
from fedrec_recipes import multvae_network as network
from fedrec_recipes.gradient_recipe import Gradient, GradientRecipe, LocalGradient
from fedrec_recipes.people_count import CountingConfig
from fedrec_recipes.recipe import History

ROUNDS_TRAINED = "rounds_trained"


class MultVaeConfig(CountingConfig):
    """Hyperparameters of `multvae`."""

    hidden_size: PositiveInt = 64
    """Width of the encoder's and of the decoder's hidden layer."""
    latent_size: PositiveInt = 32
    """Dimension of the latent vector."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Probability with which an input is dropped while training."""
    largest_kl_weight: NonNegativeFloat = 0.2
    """Weight of the KL term after annealing; below 1, as the paper found best."""
    annealing_rounds: PositiveInt = 20
    """Rounds over which the weight of the KL term grows from zero."""


class MultVae(GradientRecipe[MultVaeConfig]):
    """Mult-VAE (Liang et al. 2018, https://arxiv.org/abs/1802.05814) with sparse input.

    Nothing is private but the history: the latent vector is computed from it on the device, so that a new person
    needs no round. How far the KL term is annealed depends on the rounds trained, which the model counts itself.
    """

    name = "multvae"
    config_type = MultVaeConfig
    server_learning_rate = 0.015
    usual_rounds = 75
    server_averages = (ROUNDS_TRAINED,)

    @property
    def learned(self) -> tuple[TensorSpec, ...]:
        """Item rows of encoder and decoder, the layers between as `torch.nn.Linear` holds them, and the count."""
        items, hidden, latent = self.config.number_of_items, self.config.hidden_size, self.config.latent_size
        return (
            _weights(network.ENCODER_ITEMS, items, hidden, scale=1.0 / hidden**0.5),
            TensorSpec(name=network.ENCODER_BIAS, shape=(hidden,)),
            _weights(network.MEAN_WEIGHT, latent, hidden, scale=1.0 / hidden**0.5),
            TensorSpec(name=network.MEAN_BIAS, shape=(latent,)),
            _weights(network.LOG_VARIANCE_WEIGHT, latent, hidden, scale=0.1 / hidden**0.5),
            TensorSpec(name=network.LOG_VARIANCE_BIAS, shape=(latent,)),
            _weights(network.DECODER_WEIGHT, hidden, latent, scale=1.0 / latent**0.5),
            TensorSpec(name=network.DECODER_BIAS, shape=(hidden,)),
            _weights(network.OUTPUT_ITEMS, items, hidden, scale=0.5 / hidden**0.5),
            TensorSpec(name=network.OUTPUT_BIAS, shape=(items,)),
            TensorSpec(name=ROUNDS_TRAINED, shape=(1,)),
        )

    def kl_weight(self, parameters: Tensors) -> float:
        """Beta after the rounds that the model has been trained for."""
        progress = float(parameters[ROUNDS_TRAINED][0]) / self.config.annealing_rounds
        return self.config.largest_kl_weight * min(progress, 1.0)

    def gradient(self, parameters: Tensors, history: History, generator: np.random.Generator) -> LocalGradient:
        """The gradient of the evidence lower bound, with dropout and one latent sample."""
        kept = generator.random(len(history)) >= self.config.dropout
        inputs = network.input_weights(len(history)) * kept / np.float32(1.0 - self.config.dropout)
        latent = generator.standard_normal(self.config.latent_size, dtype=np.float32)
        noise = network.Noise(inputs.astype(np.float32), latent)
        return LocalGradient(network.gradients(parameters, history.items, noise, self.kl_weight(parameters)))

    def averages(
        self,
        base: Tensors,  # unused: everybody counts one round more
        history: History,  # unused: as above
    ) -> Gradient:
        """One more round."""
        return {ROUNDS_TRAINED: np.ones(1, dtype=np.float32)}

    def score(
        self,
        shared: Tensors,
        private: Tensors,  # unused: everything is shared
        history: History,
    ) -> NDArray[np.float32]:
        """The decoder's logits at the posterior mean of the whole history."""
        weights = network.input_weights(len(history))
        encoded = network.encode(shared, history.items, weights)
        return np.asarray(network.decode(shared, encoded.mean)[1], dtype=np.float32)


def _weights(name: str, rows: int, columns: int, *, scale: float) -> TensorSpec:
    init = Initialiser(kind=InitialiserKind.NORMAL, scale=scale)
    return TensorSpec(name=name, shape=(rows, columns), init=init)
