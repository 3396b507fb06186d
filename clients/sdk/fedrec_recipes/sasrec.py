"""Self-attention over a person's sequence of items (`sasrec`)."""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from fedrec_protocol.tensors import Initialiser, InitialiserKind, Tensors, TensorSpec
from fedrec_recipes import sasrec_network as network
from fedrec_recipes.gradient_recipe import GradientRecipe, LocalGradient
from fedrec_recipes.people_count import CountingConfig
from fedrec_recipes.recipe import History


class SasrecConfig(CountingConfig):
    """Hyperparameters of `sasrec`."""

    dimension: PositiveInt = 48
    """Length of item embeddings and of everything inside the block."""
    window: PositiveInt = 50
    """Items of a history that are looked at; older ones are not."""
    dropout: float = Field(default=0.3, ge=0, lt=1)
    """Probability with which an activation is dropped while training."""


class Sasrec(GradientRecipe[SasrecConfig]):
    """A causal transformer that predicts the next item.

    The architecture is that of SASRec (Kang and McAuley 2018, https://arxiv.org/abs/1808.09781) with one block and one
    head. The loss is cross-entropy over the whole catalogue, without negative sampling: what made SASRec better than
    BERT4Rec in Klenitskiy and Vasilev 2023, https://arxiv.org/abs/2309.07602.
    """

    name = "sasrec"
    config_type = SasrecConfig
    usual_rounds = 100
    central_epochs = 20

    @property
    def learned(self) -> tuple[TensorSpec, ...]:
        """Embeddings of items and positions, and the block's weights as `torch.nn.Linear` holds them."""
        config, size = self.config, self.config.dimension
        normal = Initialiser(kind=InitialiserKind.NORMAL, scale=1.0 / size**0.5)
        weights = (network.QUERY, network.KEY, network.VALUE, network.INNER_WEIGHT, network.OUTER_WEIGHT)
        return (
            TensorSpec(name=network.ITEM_EMBEDDINGS, shape=(config.number_of_items, size), init=normal),
            TensorSpec(name=network.POSITION_EMBEDDINGS, shape=(config.window, size), init=normal),
            *(TensorSpec(name=name, shape=(size, size), init=normal) for name in weights),
            TensorSpec(name=network.INNER_BIAS, shape=(size,)),
            TensorSpec(name=network.OUTER_BIAS, shape=(size,)),
        )

    def gradient(self, parameters: Tensors, history: History, generator: np.random.Generator) -> LocalGradient:
        """The gradient of the mean cross-entropy over the last `window` next items."""
        items = history.items[-self.config.window - 1 :]
        if len(items) < 2:
            return LocalGradient({})
        shape = (len(items) - 1, self.config.dimension)
        dropout = network.Dropout.drawn(shape, self.config.dropout, generator)
        return LocalGradient(network.next_item_gradients(parameters, items, dropout))

    def score(
        self,
        shared: Tensors,
        private: Tensors,  # unused: everything is shared
        history: History,
    ) -> NDArray[np.float32]:
        """Logits of the next item; nothing is known of a person without a history."""
        items = history.items[-self.config.window :]
        if len(items) == 0:
            return np.zeros(self.config.number_of_items, dtype=np.float32)
        dropout = network.Dropout.off((len(items), self.config.dimension))
        output = network.Pass(shared, items, dropout).output[-1]
        return np.asarray(shared[network.ITEM_EMBEDDINGS] @ output, dtype=np.float32)
