"""The autoencoder recommender: an MLP that reconstructs a person's interaction vector (`autoencoder`)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from fedrec_protocol.tensors import Initialiser, InitialiserKind, Tensors, TensorSpec
from fedrec_recipes import autoencoder_network as network
from fedrec_recipes.gradient_recipe import Gradient, GradientRecipe, LocalGradient
from fedrec_recipes.interaction_matrix import distribution, drop, interaction_matrix, unit_length
from fedrec_recipes.people_count import CountingConfig
from fedrec_recipes.recipe import History


class AutoencoderConfig(CountingConfig):
    """Hyperparameters of `autoencoder`."""

    hidden_size: PositiveInt = 32
    """Width of the hidden layer."""
    dropout: float = Field(default=0.6, ge=0, lt=1)
    """Probability with which an input is dropped while training."""


class Autoencoder(GradientRecipe[AutoencoderConfig]):
    """Softmax autoencoder over items: tanh hidden layer, dropout on the input.

    Input is the person's binary vector scaled to unit length; the loss is the multinomial one, the mean
    of -log p_i over the person's items (Liang et al. 2018, https://arxiv.org/abs/1802.05814, which found it
    better than squared and logistic loss); the architecture is that of Sedhain et al. 2015 (AutoRec).
    """

    name = "autoencoder"
    config_type = AutoencoderConfig
    usual_rounds = 80
    server_learning_rate = 0.08
    server_tau = 3e-4

    @property
    def learned(self) -> tuple[TensorSpec, ...]:
        """Weights and biases as `torch.nn.Linear` holds them."""
        items, hidden = self.config.number_of_items, self.config.hidden_size
        wide = Initialiser(kind=InitialiserKind.NORMAL, scale=1.0 / hidden**0.5)
        narrow = Initialiser(kind=InitialiserKind.NORMAL, scale=0.5 / hidden**0.5)
        return (
            TensorSpec(name=network.ENCODER_WEIGHT, shape=(hidden, items), init=wide),
            TensorSpec(name=network.ENCODER_BIAS, shape=(hidden,)),
            TensorSpec(name=network.DECODER_WEIGHT, shape=(items, hidden), init=narrow),
            TensorSpec(name=network.DECODER_BIAS, shape=(items,)),
        )

    def gradient(self, parameters: Tensors, history: History, generator: np.random.Generator) -> LocalGradient:
        """The gradient with dropout of inputs."""
        return LocalGradient(self.mean_gradient(parameters, [history], generator))

    def mean_gradient(self, parameters: Tensors, people: Sequence[History], generator: np.random.Generator) -> Gradient:
        """The same for some people at once."""
        interactions = interaction_matrix(people, self.config.number_of_items)
        inputs = drop(unit_length(interactions), self.config.dropout, generator)
        return network.gradients(parameters, inputs, distribution(interactions))

    def score(
        self,
        shared: Tensors,
        private: Tensors,  # unused: everything is shared
        history: History,
    ) -> NDArray[np.float32]:
        """The decoder's logits of the whole history."""
        interactions = interaction_matrix([history], self.config.number_of_items)
        return np.asarray(network.logits(shared, unit_length(interactions))[0], dtype=np.float32)
