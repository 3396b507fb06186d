"""Forward and backward pass of neural collaborative filtering for one person and a batch of items.

A person has two vectors, one for each tower; an item too. The towers are generalised matrix factorisation (the
weighted inner product of the vectors) and a multi-layer perceptron over both vectors; the logit is their sum.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.tensors import Tensors

GMF_ITEMS = "gmf.items"
GMF_OUTPUT = "gmf.output"
MLP_ITEMS = "mlp.items"
FIRST_USER_WEIGHT = "mlp.first.user_weight"
FIRST_ITEM_WEIGHT = "mlp.first.item_weight"
FIRST_BIAS = "mlp.first.bias"
SECOND_WEIGHT = "mlp.second.weight"
SECOND_BIAS = "mlp.second.bias"
MLP_OUTPUT = "mlp.output"
OUTPUT_BIAS = "output_bias"
GMF_USER = "gmf.user"
MLP_USER = "mlp.user"

Array = NDArray[np.float32]
Vectors = dict[str, Array]


@dataclass(frozen=True)
class Rows:
    """The items of a batch as the towers see them; None where the network has no such tower."""

    gmf: Array | None
    """Item vectors, shape (n, dimension)."""
    mlp: Array | None
    """Item vectors, shape (n, dimension)."""
    first: Array | None
    """What the items put into the perceptron's first layer, shape (n, hidden size)."""

    @classmethod
    def of(cls, parameters: Tensors, items: NDArray[np.int64] | slice) -> "Rows":
        """The rows of these items."""
        gmf = parameters[GMF_ITEMS][items] if GMF_ITEMS in parameters else None
        if MLP_ITEMS not in parameters:
            return cls(gmf, None, None)
        mlp = parameters[MLP_ITEMS][items]
        return cls(gmf, mlp, mlp @ parameters[FIRST_ITEM_WEIGHT].T + parameters[FIRST_BIAS])


class Pass:
    """One forward pass, with what the backward pass needs of it."""

    def __init__(self, parameters: Tensors, rows: Rows, user: Tensors) -> None:
        self._parameters, self._rows, self._user = parameters, rows, user
        self.logits: Array = np.repeat(parameters[OUTPUT_BIAS], len(_some(rows)))
        if rows.gmf is not None:
            self.logits = self.logits + rows.gmf @ (parameters[GMF_OUTPUT] * user[GMF_USER])
        if rows.first is not None:
            self._first = np.maximum(rows.first + parameters[FIRST_USER_WEIGHT] @ user[MLP_USER], 0)
            second = self._first @ parameters[SECOND_WEIGHT].T + parameters[SECOND_BIAS]
            self._second = np.maximum(second, 0)
            self.logits = self.logits + self._second @ parameters[MLP_OUTPUT]

    def user_gradient(self, error: Array) -> Vectors:
        """By the person's vectors, from the gradient by the logits, shape (n,)."""
        gradient = {}
        if self._rows.gmf is not None:
            gradient[GMF_USER] = self._parameters[GMF_OUTPUT] * (error @ self._rows.gmf)
        if self._rows.first is not None:
            gradient[MLP_USER] = self._first_error(error)[1].sum(axis=0) @ self._parameters[FIRST_USER_WEIGHT]
        return gradient

    def shared_gradient(self, error: Array) -> Vectors:
        """By the network's tensors; those of the items by row of the batch."""
        gradient = {OUTPUT_BIAS: error.sum(keepdims=True)}
        if self._rows.gmf is not None:
            gradient[GMF_ITEMS] = np.outer(error, self._parameters[GMF_OUTPUT] * self._user[GMF_USER])
            gradient[GMF_OUTPUT] = self._user[GMF_USER] * (error @ self._rows.gmf)
        if self._rows.mlp is not None:
            gradient |= self._mlp_gradient(error, self._rows.mlp)
        return gradient

    def _mlp_gradient(self, error: Array, items: Array) -> Vectors:
        second_error, first_error = self._first_error(error)
        total = first_error.sum(axis=0)
        return {
            MLP_ITEMS: first_error @ self._parameters[FIRST_ITEM_WEIGHT],
            FIRST_USER_WEIGHT: np.outer(total, self._user[MLP_USER]),
            FIRST_ITEM_WEIGHT: first_error.T @ items,
            FIRST_BIAS: total,
            SECOND_WEIGHT: second_error.T @ self._first,
            SECOND_BIAS: second_error.sum(axis=0),
            MLP_OUTPUT: error @ self._second,
        }

    def _first_error(self, error: Array) -> tuple[Array, Array]:
        """Gradients by the inputs of the second and of the first layer's rectifiers."""
        second = np.outer(error, self._parameters[MLP_OUTPUT]) * (self._second > 0)
        return second, (second @ self._parameters[SECOND_WEIGHT]) * (self._first > 0)


def _some(rows: Rows) -> Array:
    found = rows.gmf if rows.gmf is not None else rows.mlp
    if found is None:
        raise ValueError("the parameters hold neither tower")
    return found


def cross_entropy_slope(logits: Array, targets: Array) -> Array:
    """Gradient of the mean binary cross-entropy by the logits."""
    probabilities = 1.0 / (1.0 + np.exp(-np.clip(logits, -30.0, 30.0)))
    return np.asarray((probabilities - targets) / np.float32(max(len(targets), 1)), dtype=np.float32)
