"""Forward and backward pass of a one-block causal transformer over one person's sequence of items.

Self-attention, then a feed-forward layer, each with layer normalisation before it and a residual connection around
it, and a last normalisation; the output at each position predicts the next item by inner products with the same item
embeddings that the input is made of (Kang and McAuley 2018, https://arxiv.org/abs/1808.09781, with one block and
one head). With one sequence a tensor framework's calls would cost more than the arithmetic.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.tensors import Tensors

ITEM_EMBEDDINGS = "item_embeddings"
POSITION_EMBEDDINGS = "position_embeddings"
QUERY = "attention.query"
KEY = "attention.key"
VALUE = "attention.value"
INNER_WEIGHT = "feed_forward.inner.weight"
INNER_BIAS = "feed_forward.inner.bias"
OUTER_WEIGHT = "feed_forward.outer.weight"
OUTER_BIAS = "feed_forward.outer.bias"

Matrix = NDArray[np.float32]

_EPSILON = np.float32(1e-5)


@dataclass(frozen=True)
class Dropout:
    """Masks of inverted dropout, each of zeros and 1 / (1 - probability), shape (length, dimension)."""

    embedded: Matrix
    attended: Matrix
    fed_forward: Matrix

    @classmethod
    def drawn(cls, shape: tuple[int, int], probability: float, generator: np.random.Generator) -> "Dropout":
        """Masks at random."""
        kept = generator.random((3, *shape), dtype=np.float32) >= probability
        return cls(*(kept * np.float32(1.0 / (1.0 - probability))))

    @classmethod
    def off(cls, shape: tuple[int, int]) -> "Dropout":
        """Nothing is dropped: for scoring."""
        ones = np.ones(shape, dtype=np.float32)
        return cls(ones, ones, ones)


class _Normalised:
    """Layer normalisation (Ba et al. 2016, https://arxiv.org/abs/1607.06450) without gain and bias."""

    def __init__(self, values: Matrix) -> None:
        centred = values - values.mean(axis=1, keepdims=True)
        self._scale = 1.0 / np.sqrt((centred * centred).mean(axis=1, keepdims=True) + _EPSILON)
        self.output: Matrix = centred * self._scale

    def back(self, error: Matrix) -> Matrix:
        """The loss's gradient by the input, from that by the output."""
        along = (error * self.output).mean(axis=1, keepdims=True)
        return np.asarray((error - error.mean(axis=1, keepdims=True) - self.output * along) * self._scale)


class Pass:
    """One forward pass, with what the backward pass needs of it.

    Args:
        parameters: The nine tensors.
        items: The sequence, oldest first, shape (length,), not longer than there are positions.
        dropout: Masks.
    """

    def __init__(self, parameters: Tensors, items: NDArray[np.int64], dropout: Dropout) -> None:
        self._parameters, self._items, self._dropout = parameters, items, dropout
        # The newest item has position 0, so that short and long histories end alike.
        self._positions = np.arange(len(items))[::-1]
        embedded = parameters[ITEM_EMBEDDINGS][items] + parameters[POSITION_EMBEDDINGS][self._positions]
        embedded = embedded * dropout.embedded
        self._before = _Normalised(embedded)
        self._attend()
        attended = embedded + self._mixed * dropout.attended
        self._middle = _Normalised(attended)
        inner = self._middle.output @ parameters[INNER_WEIGHT].T + parameters[INNER_BIAS]
        self._inner: Matrix = np.maximum(inner, 0)
        outer = self._inner @ parameters[OUTER_WEIGHT].T + parameters[OUTER_BIAS]
        self._after = _Normalised(attended + outer * dropout.fed_forward)

    @property
    def output(self) -> Matrix:
        """What each position predicts from, shape (length, dimension)."""
        return self._after.output

    def _attend(self) -> None:
        normal = self._before.output
        self._query = normal @ self._parameters[QUERY].T
        self._key = normal @ self._parameters[KEY].T
        self._value = normal @ self._parameters[VALUE].T
        scores = self._query @ self._key.T / np.float32(normal.shape[1] ** 0.5)
        scores[np.triu_indices(len(scores), 1)] = -np.inf  # nobody looks ahead
        self._share: Matrix = softmax(scores)
        self._mixed: Matrix = self._share @ self._value

    def back(self, error: Matrix) -> dict[str, Matrix]:
        """Gradients of the tensors from the gradient by `output`; those of the item embeddings as inputs only."""
        parameters, dropout = self._parameters, self._dropout
        error = self._after.back(error)
        outer_error = error * dropout.fed_forward
        inner_error = (outer_error @ parameters[OUTER_WEIGHT]) * (self._inner > 0)
        gradients = {
            OUTER_WEIGHT: outer_error.T @ self._inner,
            OUTER_BIAS: outer_error.sum(axis=0),
            INNER_WEIGHT: inner_error.T @ self._middle.output,
            INNER_BIAS: inner_error.sum(axis=0),
        }
        error = error + self._middle.back(inner_error @ parameters[INNER_WEIGHT])
        normal_error = self._attention_back(error * dropout.attended, gradients)
        error = (error + self._before.back(normal_error)) * dropout.embedded
        gradients[ITEM_EMBEDDINGS] = np.zeros_like(parameters[ITEM_EMBEDDINGS])
        np.add.at(gradients[ITEM_EMBEDDINGS], self._items, error)
        gradients[POSITION_EMBEDDINGS] = np.zeros_like(parameters[POSITION_EMBEDDINGS])
        gradients[POSITION_EMBEDDINGS][self._positions] = error
        return gradients

    def _attention_back(self, error: Matrix, gradients: dict[str, Matrix]) -> Matrix:
        """Adds the gradients of the attention; returns the one by its input."""
        normal, root = self._before.output, np.float32(error.shape[1] ** 0.5)
        share_error = error @ self._value.T
        score_error = self._share * (share_error - (share_error * self._share).sum(axis=1, keepdims=True)) / root
        errors = {QUERY: score_error @ self._key, KEY: score_error.T @ self._query, VALUE: self._share.T @ error}
        for name, value in errors.items():
            gradients[name] = value.T @ normal
        return np.asarray(sum(value @ self._parameters[name] for name, value in errors.items()))


def softmax(scores: Matrix) -> Matrix:
    """Rows of probabilities."""
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return np.asarray(shares)


def next_item_gradients(parameters: Tensors, items: NDArray[np.int64], dropout: Dropout) -> dict[str, Matrix]:
    """Gradients of the mean cross-entropy of predicting each item but the first, over all items.

    Args:
        parameters: The nine tensors.
        items: Shape (length + 1,), at least two.
        dropout: Masks for `length` positions.
    """
    forward = Pass(parameters, items[:-1], dropout)
    table = parameters[ITEM_EMBEDDINGS]
    error = softmax(forward.output @ table.T)
    error[np.arange(len(error)), items[1:]] -= 1.0
    error /= np.float32(len(error))
    gradients = forward.back(error @ table)
    gradients[ITEM_EMBEDDINGS] += error.T @ forward.output
    return gradients
