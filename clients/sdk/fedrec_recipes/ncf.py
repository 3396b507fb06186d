"""Neural collaborative filtering with private user vectors (`ncf`)."""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, PositiveInt

from fedrec_protocol.tensors import Initialiser, InitialiserKind, Tensors, TensorSpec
from fedrec_recipes import ncf_network as network
from fedrec_recipes.adam import Adam
from fedrec_recipes.gradient_recipe import GradientRecipe, LocalGradient
from fedrec_recipes.negatives import sample_negatives, spread_negatives
from fedrec_recipes.people_count import CountingConfig
from fedrec_recipes.recipe import History

_SOLVER_RATE = 0.2


class Network(StrEnum):
    """Which towers there are."""

    GMF = "gmf"  # generalised matrix factorisation
    MLP = "mlp"  # a multi-layer perceptron over both vectors
    NEUMF = "neumf"  # both, added


class NcfConfig(CountingConfig):
    """Hyperparameters of `ncf`."""

    network: Network = Network.GMF
    """`gmf`, `mlp` or `neumf`. The first was better and cheaper on validation of MovieLens 100K, in line with Rendle et
    al. 2020, https://arxiv.org/abs/2005.09683."""
    dimension: PositiveInt = 16
    """Length of each vector of a person or an item."""
    hidden_size: PositiveInt = 32
    """Width of the perceptron's first layer; the second has half of it."""
    negatives: PositiveInt = 4
    """Items drawn for each item of the person."""
    user_regularisation: NonNegativeFloat = 0.01
    """L2 penalty on the person's vectors."""
    item_regularisation: NonNegativeFloat = 0.01
    """L2 penalty on the vectors of the items of a batch."""
    solver_steps: PositiveInt = 12
    """Steps in which a device finds its person's vectors."""


class Ncf(GradientRecipe[NcfConfig]):
    """GMF, MLP and NeuMF (He et al. 2017, https://arxiv.org/abs/1708.05031), with the paper's logistic loss.

    Items and layers are shared. The person's vectors are found on the device, by a few steps of Adam from zero for
    every version: they are never sent, and a new person needs no round.
    """

    name = "ncf"
    config_type = NcfConfig
    private = (network.GMF_USER, network.MLP_USER)
    server_learning_rate = 0.03
    central_epochs = 20
    central_learning_rate = 0.01

    @property
    def learned(self) -> tuple[TensorSpec, ...]:
        """Item vectors and layers of the towers that there are."""
        config = self.config
        items, size, hidden = config.number_of_items, config.dimension, config.hidden_size
        specs = [TensorSpec(name=network.OUTPUT_BIAS, shape=(1,))]
        if config.network is not Network.MLP:
            ones = Initialiser(kind=InitialiserKind.ONES)
            specs += [
                _normal(network.GMF_ITEMS, items, size),
                TensorSpec(name=network.GMF_OUTPUT, shape=(size,), init=ones),
            ]
        if config.network is not Network.GMF:
            specs += [
                _normal(network.MLP_ITEMS, items, size),
                _normal(network.FIRST_USER_WEIGHT, hidden, size),
                _normal(network.FIRST_ITEM_WEIGHT, hidden, size),
                TensorSpec(name=network.FIRST_BIAS, shape=(hidden,)),
                _normal(network.SECOND_WEIGHT, max(hidden // 2, 1), hidden),
                TensorSpec(name=network.SECOND_BIAS, shape=(max(hidden // 2, 1),)),
                _normal(network.MLP_OUTPUT, max(hidden // 2, 1)),
            ]
        return tuple(specs)

    def gradient(self, parameters: Tensors, history: History, generator: np.random.Generator) -> LocalGradient:
        """The gradient at the vectors that are found for the same batch."""
        number_of_items = self.config.number_of_items
        negatives = sample_negatives(history, number_of_items, self.config.negatives * len(history), generator)
        items, targets = _batch(history.items, negatives)
        rows = network.Rows.of(parameters, items)
        user = self._user(parameters, rows, targets)
        forward = network.Pass(parameters, rows, user)
        gradient = forward.shared_gradient(network.cross_entropy_slope(forward.logits, targets))
        pull = np.float32(self.config.item_regularisation / len(items))
        for name, of_rows in ((network.GMF_ITEMS, rows.gmf), (network.MLP_ITEMS, rows.mlp)):
            if of_rows is not None:
                gradient[name] = _by_item(gradient[name] + pull * of_rows, items, number_of_items)
        return LocalGradient(gradient, user)

    def score(
        self,
        shared: Tensors,
        private: Tensors,  # unused: stored vectors may be of an older version
        history: History,
    ) -> NDArray[np.float32]:
        """Logits of all items for the vectors found for `history`."""
        negatives = spread_negatives(history, self.config.number_of_items, self.config.negatives * len(history))
        items, targets = _batch(history.items, negatives)
        user = self._user(shared, network.Rows.of(shared, items), targets)
        return network.Pass(shared, network.Rows.of(shared, slice(None)), user).logits

    def _user(self, parameters: Tensors, rows: network.Rows, targets: NDArray[np.float32]) -> network.Vectors:
        """The person's vectors, by Adam from zero."""
        there = [
            name
            for name, of_rows in ((network.GMF_USER, rows.gmf), (network.MLP_USER, rows.mlp))
            if of_rows is not None
        ]
        user = {name: np.zeros(self.config.dimension, dtype=np.float32) for name in there}
        adam = Adam(user, _SOLVER_RATE)
        for _ in range(self.config.solver_steps if len(targets) else 0):
            forward = network.Pass(parameters, rows, user)
            gradient = forward.user_gradient(network.cross_entropy_slope(forward.logits, targets))
            ridge = np.float32(self.config.user_regularisation)
            adam.step({name: value + ridge * user[name] for name, value in gradient.items()})
        return user


def _normal(name: str, *shape: int) -> TensorSpec:
    return TensorSpec(name=name, shape=shape, init=Initialiser(kind=InitialiserKind.NORMAL, scale=shape[-1] ** -0.5))


def _batch(chosen: NDArray[np.int64], negatives: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Items, and 1 for those chosen."""
    targets = np.zeros(len(chosen) + len(negatives), dtype=np.float32)
    targets[: len(chosen)] = 1.0
    return np.concatenate([chosen, negatives]), targets


def _by_item(rows: NDArray[np.float32], items: NDArray[np.int64], number_of_items: int) -> NDArray[np.float32]:
    """The sum of rows of each item, shape (number_of_items, dimension)."""
    total = np.zeros((number_of_items, rows.shape[1]), dtype=np.float32)
    np.add.at(total, items, rows)
    return total
