"""Forward and backward pass of two towers for one person.

The item tower adds an embedding of the item and the weights of its features; the user tower is one tanh layer over the
mean of the person's item vectors. The logit of an item is the inner product of both towers plus a bias of the
same form.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.tensors import Tensors

ITEM_EMBEDDINGS = "item_embeddings"
ITEM_BIAS = "item_bias"
FEATURE_EMBEDDINGS = "feature_embeddings"
FEATURE_BIAS = "feature_bias"
USER_WEIGHT = "user_tower.weight"
USER_BIAS = "user_tower.bias"

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Catalogue:
    """The items that compete in one pass, and what is known of them."""

    features: Array
    """Shape (number_of_items, number_of_features); rows sum to 1, or to 0 where nothing is known."""
    has_identity: Array
    """1 where an item's own embedding and bias count, 0 where only its features do, shape (number_of_items,)."""
    competes: Array
    """1 for the items among which the softmax divides, shape (number_of_items,)."""


class ItemTower:
    """Vectors and biases of all items."""

    def __init__(self, parameters: Tensors, catalogue: Catalogue) -> None:
        identity = catalogue.has_identity
        self.vectors: Array = (
            parameters[ITEM_EMBEDDINGS] * identity[:, None] + catalogue.features @ parameters[FEATURE_EMBEDDINGS]
        )
        self.bias: Array = parameters[ITEM_BIAS] * identity + catalogue.features @ parameters[FEATURE_BIAS]


def user_vector(parameters: Tensors, mean: Array) -> Array:
    """The user tower's output for a mean of item vectors, shape (dimension,)."""
    return np.asarray(np.tanh(parameters[USER_WEIGHT] @ mean + parameters[USER_BIAS]))


def gradients(parameters: Tensors, catalogue: Catalogue, items: NDArray[np.int64], weights: Array) -> dict[str, Array]:
    """Gradient of the mean of -log softmax(logits)_i over a person's items i.

    Args:
        parameters: The six tensors.
        catalogue: Which items compete, and with what.
        items: The person's items, each once, shape (n,), n at least 1.
        weights: Of the items in the user tower's input, dropout included, shape (n,).
    """
    tower = ItemTower(parameters, catalogue)
    mean = weights @ tower.vectors[items]
    user = user_vector(parameters, mean)
    logits = tower.vectors @ user + tower.bias
    error = np.exp(logits - logits.max()) * catalogue.competes
    error /= error.sum()
    error[items] -= np.float32(1.0 / len(items))

    user_error = (error @ tower.vectors) * (1.0 - user * user)
    vector_error = np.outer(error, user)
    vector_error[items] += np.outer(weights, user_error @ parameters[USER_WEIGHT])
    return {
        ITEM_EMBEDDINGS: vector_error * catalogue.has_identity[:, None],
        ITEM_BIAS: error * catalogue.has_identity,
        FEATURE_EMBEDDINGS: catalogue.features.T @ vector_error,
        FEATURE_BIAS: catalogue.features.T @ error,
        USER_WEIGHT: np.outer(user_error, mean),
        USER_BIAS: user_error,
    }
