"""Two towers with item content, so that items nobody has chosen yet can be recommended (`two-tower`)."""

from collections.abc import Sequence
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from fedrec_protocol.tensors import Initialiser, InitialiserKind, Tensors, TensorSpec
from fedrec_recipes import two_tower_network as network
from fedrec_recipes.gradient_recipe import Gradient, GradientRecipe, LocalGradient
from fedrec_recipes.interaction_matrix import distribution, drop, interaction_matrix, unit_length
from fedrec_recipes.item_content import unpack_content
from fedrec_recipes.people_count import CountingConfig
from fedrec_recipes.recipe import History
from fedrec_recipes.running_mean import running_mean_delta

ITEM_SHARE = "item_share"


class TwoTowerConfig(CountingConfig):
    """Hyperparameters of `two-tower`."""

    number_of_features: NonNegativeInt = 0
    """Features of an item, e.g. genres; 0 where nothing is known of the items."""
    content: str = ""
    """The features, as `item_content.pack_content` makes them."""
    dimension: PositiveInt = 48
    """Length of the towers' outputs."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Probability with which an item is dropped from the user tower's input while training."""
    identity_dropout: float = Field(default=0.2, ge=0, lt=1)
    """Probability with which an item stands for its features only while training."""

    @model_validator(mode="after")
    def _content_fits(self) -> Self:
        unpack_content(self.content, self.number_of_items, self.number_of_features)
        return self


class TwoTower(GradientRecipe[TwoTowerConfig]):
    """A user tower over the history and an item tower over content and identity, trained by softmax.

    Identities are left out at random while training, so that features learn to stand alone (as in DropoutNet, Volkovs
    et al. 2017). An item that nobody has chosen does not compete in training, where it would only learn
    that nobody chooses it; it is scored by its features alone.

    The features are part of the configuration: fixed, the same for all, and covered by the manifest's digest.
    """

    name = "two-tower"
    config_type = TwoTowerConfig
    central_epochs = 60
    server_averages = (ITEM_SHARE,)

    @property
    def learned(self) -> tuple[TensorSpec, ...]:
        """Both towers' weights, and the items' shares of interactions."""
        items, size = self.config.number_of_items, self.config.dimension
        features = max(self.config.number_of_features, 1)
        normal = Initialiser(kind=InitialiserKind.NORMAL, scale=size**-0.5)
        return (
            TensorSpec(name=network.ITEM_EMBEDDINGS, shape=(items, size), init=normal),
            TensorSpec(name=network.ITEM_BIAS, shape=(items,)),
            TensorSpec(name=network.FEATURE_EMBEDDINGS, shape=(features, size), init=normal),
            TensorSpec(name=network.FEATURE_BIAS, shape=(features,)),
            TensorSpec(name=network.USER_WEIGHT, shape=(size, size), init=normal),
            TensorSpec(name=network.USER_BIAS, shape=(size,)),
            TensorSpec(name=ITEM_SHARE, shape=(items,)),
        )

    def gradient(self, parameters: Tensors, history: History, generator: np.random.Generator) -> LocalGradient:
        """The gradient with dropout of inputs and of identities."""
        return LocalGradient(self.mean_gradient(parameters, [history], generator))

    def mean_gradient(self, parameters: Tensors, people: Sequence[History], generator: np.random.Generator) -> Gradient:
        """The same for some people at once."""
        interactions = interaction_matrix(people, self.config.number_of_items)
        inputs = drop(unit_length(interactions), self.config.dropout, generator)
        known = _known(parameters)
        is_kept = generator.random(interactions.shape, dtype=np.float32) >= self.config.identity_dropout
        catalogue = network.Catalogue(self._features, known * is_kept, known)
        return network.gradients(parameters, catalogue, inputs, distribution(interactions))

    def averages(self, base: Tensors, history: History) -> Gradient:
        """The share of each item in this person's history."""
        share = np.zeros(self.config.number_of_items)
        share[history.items] = 1.0 / len(history)
        return {ITEM_SHARE: running_mean_delta(base[ITEM_SHARE], share, 0.5).astype(np.float32)}

    def score(
        self,
        shared: Tensors,
        private: Tensors,  # unused: everything is shared
        history: History,
    ) -> NDArray[np.float32]:
        """Inner products of both towers; an item that nobody has chosen by its features alone."""
        tower = self._tower(shared)
        user = network.user_vector(shared, _mean_weights(len(history)) @ tower.vectors[history.items])
        return np.asarray(tower.vectors @ user + tower.bias, dtype=np.float32)

    def item_vectors(self, shared: Tensors) -> NDArray[np.float32]:
        """The item tower's output: what features and identities say together."""
        return self._tower(shared).vectors

    def _tower(self, shared: Tensors) -> network.ItemTower:
        """The item tower as it is scored: without the identity of an item that nobody has chosen."""
        known = _known(shared)
        return network.ItemTower(shared, network.Catalogue(self._features, known, known))

    @cached_property
    def _features(self) -> NDArray[np.float32]:
        """Rows that sum to 1; one column of zeros where there are no features."""
        config = self.config
        if config.number_of_features == 0:
            return np.zeros((config.number_of_items, 1), dtype=np.float32)
        bits = unpack_content(config.content, config.number_of_items, config.number_of_features)
        return np.asarray(bits / np.maximum(bits.sum(axis=1, keepdims=True), 1), dtype=np.float32)


def _known(parameters: Tensors) -> NDArray[np.float32]:
    """1 for items that somebody has chosen; all, before the first round."""
    share = parameters[ITEM_SHARE]
    return np.asarray((share > 0) if share.any() else np.ones_like(share), dtype=np.float32)


def _mean_weights(count: int) -> NDArray[np.float32]:
    return np.full(count, 1.0 / max(count, 1) ** 0.5, dtype=np.float32)
