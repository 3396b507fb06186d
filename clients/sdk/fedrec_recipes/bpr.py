"""Matrix factorisation by Bayesian personalised ranking, with private user vectors (`bpr`)."""

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from fedrec_protocol.tensors import Initialiser, InitialiserKind, Tensors, TensorSpec
from fedrec_recipes import ranking_loss
from fedrec_recipes.gradient_recipe import GradientRecipe, LocalGradient
from fedrec_recipes.negatives import spread_negatives
from fedrec_recipes.recipe import History, RecipeConfig

ITEM_EMBEDDINGS = "item_embeddings"
ITEM_BIAS = "item_bias"
USER_VECTOR = "user_vector"


class BprConfig(RecipeConfig):
    """Hyperparameters of `bpr`."""

    dimension: PositiveInt = 32
    """Length of item embeddings and user vectors."""
    negatives: PositiveInt = 5
    """Items that each item of the person is compared with when the user vector is solved."""
    user_regularisation: PositiveFloat = 0.02
    """L2 penalty on the user vector."""
    item_regularisation: NonNegativeFloat = 0.02
    """L2 penalty on the item embeddings, each as often as it is compared."""


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
    def shared(self) -> tuple[TensorSpec, ...]:
        """Item embeddings, shape (number_of_items, dimension), and biases, shape (number_of_items,)."""
        items, dimension = self.config.number_of_items, self.config.dimension
        small = Initialiser(kind=InitialiserKind.NORMAL, scale=0.3 / dimension**0.5)
        return (
            TensorSpec(name=ITEM_EMBEDDINGS, shape=(items, dimension), init=small),
            TensorSpec(name=ITEM_BIAS, shape=(items,)),
        )

    def gradient(
        self,
        parameters: Tensors,
        history: History,
        generator: np.random.Generator,  # unused: nothing is drawn
    ) -> LocalGradient:
        """The gradient at the solved user vector, over all pairs."""
        vector = self.user_vector(parameters, history)
        by_bias, compared = ranking_loss.gradient_by_scores(self._scores(parameters, vector), history.items)
        by_embeddings = np.outer(by_bias, vector)
        by_embeddings += (np.float32(self.config.item_regularisation) * compared)[:, None] * parameters[ITEM_EMBEDDINGS]
        return LocalGradient({ITEM_EMBEDDINGS: by_embeddings, ITEM_BIAS: by_bias}, {USER_VECTOR: vector})

    def score(
        self,
        shared: Tensors,
        private: Tensors,  # unused: a stored vector may be of an older item table
        history: History,
    ) -> NDArray[np.float32]:
        """Biases plus inner products with the user vector solved from `history`."""
        return self._scores(shared, self.user_vector(shared, history))

    def user_vector(self, parameters: Tensors, history: History) -> NDArray[np.float32]:
        """The vector that minimises the loss over a spread of pairs, shape (dimension,); zero where there are none."""
        count = self.config.negatives * len(history)
        others = spread_negatives(history, self.config.number_of_items, count)
        chosen = np.resize(history.items, len(others))
        embeddings, bias = parameters[ITEM_EMBEDDINGS], parameters[ITEM_BIAS]
        return ranking_loss.solve(
            embeddings[chosen] - embeddings[others],
            bias[chosen] - bias[others],
            regularisation=self.config.user_regularisation,
        )

    def _scores(self, parameters: Tensors, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(parameters[ITEM_BIAS] + parameters[ITEM_EMBEDDINGS] @ vector, dtype=np.float32)
