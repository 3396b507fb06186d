"""Self-attention over a person's sequence of items (`sasrec`)."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt

from fedrec_protocol.tensors import Initialiser, InitialiserKind, Tensors, TensorSpec
from fedrec_recipes import sasrec_network as network
from fedrec_recipes.attention_block import block_tensors
from fedrec_recipes.candidates import Candidates
from fedrec_recipes.gradient_recipe import GradientRecipe, LocalGradient
from fedrec_recipes.people_count import CountingConfig
from fedrec_recipes.recipe import History


class SasrecConfig(CountingConfig):
    """Hyperparameters of `sasrec`."""

    dimension: PositiveInt = 48
    """Length of item embeddings and of everything inside a block."""
    blocks: PositiveInt = 1
    """Blocks of self-attention and feed-forward layers."""
    window: PositiveInt = 50
    """Items of a history that are looked at; older ones are not."""
    negatives: PositiveInt | None = None
    """Items drawn anew in each round to compete, beside those of the history, with the next one; None: all items do."""
    initial_scale: PositiveFloat | None = None
    """Standard deviation of the embeddings of items and positions at first; None: dimension^-0.5."""
    dropout: float = Field(default=0.3, ge=0, lt=1)
    """Probability with which an activation is dropped while training."""


class Sasrec(GradientRecipe[SasrecConfig]):
    """A causal transformer that predicts the next item.

    The architecture is that of SASRec (Kang and McAuley 2018, https://arxiv.org/abs/1808.09781) with one head. The loss
    is cross-entropy over the whole catalogue, what made SASRec better than BERT4Rec in Klenitskiy and Vasilev 2023
    (https://arxiv.org/abs/2309.07602), or over a sample of it that is weighted to stand for the whole.
    """

    name = "sasrec"
    config_type = SasrecConfig
    usual_rounds = 100
    server_learning_rate = 0.006
    central_epochs = 20

    @cached_property
    def learned(self) -> tuple[TensorSpec, ...]:
        """Embeddings of items and positions, the blocks, and the last normalisation."""
        config, size = self.config, self.config.dimension
        drawn = Initialiser(kind=InitialiserKind.NORMAL, scale=config.initial_scale or size**-0.5)
        return (
            TensorSpec(name=network.ITEM_EMBEDDINGS, shape=(config.number_of_items, size), init=drawn),
            TensorSpec(name=network.POSITION_EMBEDDINGS, shape=(config.window, size), init=drawn),
            *(
                spec.model_copy(update={"name": network.block_name(block, spec.name)})
                for block in range(config.blocks)
                for spec in block_tensors(size)
            ),
            TensorSpec(name=network.OUTPUT_GAIN, shape=(size,), init=Initialiser(kind=InitialiserKind.ONES)),
            TensorSpec(name=network.OUTPUT_BIAS, shape=(size,)),
        )

    def gradient(self, parameters: Tensors, history: History, generator: np.random.Generator) -> LocalGradient:
        """The gradient of the mean cross-entropy over the last `window` next items."""
        config = self.config
        items = history.items[-config.window - 1 :]
        if len(items) < 2:
            return LocalGradient({})
        shape = (len(items) - 1, config.dimension)
        dropout = network.Dropout.drawn(config.blocks, shape, config.dropout, generator)
        candidates = None
        if config.negatives is not None:
            candidates = Candidates.drawn(items, config.number_of_items, config.negatives, generator)
        return LocalGradient(network.next_item_gradients(parameters, config.blocks, items, dropout, candidates))

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
        output = network.Pass(shared, self.config.blocks, items, network.Dropout.off()).output[-1]
        return np.asarray(shared[network.ITEM_EMBEDDINGS] @ output, dtype=np.float32)
