"""Matrix factorisation by Bayesian personalised ranking, with private user vectors (`bpr`)."""

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from fedrec_protocol.tensors import Tensors, TensorSpec
from fedrec_recipes import ranking_loss
from fedrec_recipes.gradient_recipe import GradientRecipe, LocalGradient
from fedrec_recipes.item_table import ItemTable, Table
from fedrec_recipes.negatives import spread_negatives
from fedrec_recipes.people_count import CountingConfig
from fedrec_recipes.recipe import History

ITEM_BIAS = "item_bias"
USER_VECTOR = "user_vector"


class BprConfig(CountingConfig):
    """Hyperparameters of `bpr`."""

    dimension: PositiveInt = 32
    """Length of item embeddings and user vectors."""
    negatives: PositiveInt = 5
    """Items that each item of the person is compared with when the user vector is solved."""
    user_regularisation: PositiveFloat = 0.02
    """L2 penalty on the user vector."""
    item_regularisation: NonNegativeFloat = 0.02
    """L2 penalty on the item embeddings, each as often as it is compared."""
    remainders: PositiveInt | None = None
    """For large catalogues: rows that items share (`fedrec_recipes.item_table`); null gives each item its own."""


class BayesianPersonalisedRanking(GradientRecipe[BprConfig]):
    """BPR-MF (Rendle et al. 2009, https://arxiv.org/abs/1205.2618) with a private user vector.

    The score of item i is b_i + p . q_i, and a person's loss is the mean of -log sigmoid(score_i - score_j) over all
    pairs of an item i of the training history and an item j that is not in it. The paper draws pairs; a device has
    time for all of them, so that the server's Adam sees no noise of sampling and a report is dense whatever
    the person chose. In p the loss is convex: the device solves it, from a spread of pairs.
    """

    name = "bpr"
    config_type = BprConfig
    private = (USER_VECTOR,)
    server_learning_rate = 0.05

    @property
    def learned(self) -> tuple[TensorSpec, ...]:
        """Item embeddings (one table, or the two that it is made from) and biases, shape (number_of_items,)."""
        return (*self.items.specs, TensorSpec(name=ITEM_BIAS, shape=(self.config.number_of_items,)))

    @property
    def items(self) -> ItemTable:
        """The item embeddings."""
        return ItemTable(self.config.number_of_items, self.config.dimension, self.config.remainders)

    def gradient(
        self,
        parameters: Tensors,
        history: History,
        generator: np.random.Generator,  # unused: nothing is drawn
    ) -> LocalGradient:
        """The gradient at the solved user vector, over all pairs."""
        embeddings, bias = self.items.of(parameters), parameters[ITEM_BIAS]
        vector = self.user_vector(embeddings, bias, history)
        by_bias, compared = ranking_loss.gradient_by_scores(bias + embeddings @ vector, history.items)
        by_embeddings = np.outer(by_bias, vector)
        by_embeddings += (np.float32(self.config.item_regularisation) * compared)[:, None] * embeddings
        by_items = self.items.gradient(parameters, by_embeddings)
        return LocalGradient({**by_items, ITEM_BIAS: by_bias}, {USER_VECTOR: vector})

    def score(
        self,
        shared: Tensors,
        private: Tensors,  # unused: a stored vector may be of an older item table
        history: History,
    ) -> NDArray[np.float32]:
        """Biases plus inner products with the user vector solved from `history`."""
        embeddings, bias = self.items.of(shared), shared[ITEM_BIAS]
        return np.asarray(bias + embeddings @ self.user_vector(embeddings, bias, history), dtype=np.float32)

    def item_vectors(self, shared: Tensors) -> NDArray[np.float32]:
        """The embeddings, put together where they are made from two tables."""
        return self.items.of(shared)

    def user_vector(self, embeddings: Table, bias: NDArray[np.float32], history: History) -> NDArray[np.float32]:
        """The vector that minimises the loss over a spread of pairs, shape (dimension,); zero where there are none."""
        count = self.config.negatives * len(history)
        others = spread_negatives(history, self.config.number_of_items, count)
        chosen = np.resize(history.items, len(others))
        return ranking_loss.solve(
            embeddings[chosen] - embeddings[others],
            bias[chosen] - bias[others],
            regularisation=self.config.user_regularisation,
        )
