"""A block of a transformer over one sequence: causal self-attention, then a feed-forward layer.

Each has layer normalisation before it and a residual connection around it. Two classes with one shape: made from the
block's weights and the stream, they hold what the backward pass needs.
"""

from abc import ABC, abstractmethod
from functools import lru_cache

import numpy as np

from fedrec_protocol.tensors import Initialiser, InitialiserKind, Tensors, TensorSpec
from fedrec_recipes.layer_norm import LayerNorm, Matrix, column_sums

PROJECTIONS = "attention.projections"
ATTENTION_GAIN = "attention.gain"
ATTENTION_BIAS = "attention.bias"
INNER_WEIGHT = "feed_forward.inner.weight"
INNER_BIAS = "feed_forward.inner.bias"
OUTER_WEIGHT = "feed_forward.outer.weight"
OUTER_BIAS = "feed_forward.outer.bias"
FEED_FORWARD_GAIN = "feed_forward.gain"
FEED_FORWARD_BIAS = "feed_forward.bias"

Gradients = dict[str, Matrix]


def block_tensors(dimension: int) -> tuple[TensorSpec, ...]:
    """A block's tensors by their names in a block; weights are laid out as in `torch.nn.Linear`."""
    normal = Initialiser(kind=InitialiserKind.NORMAL, scale=dimension**-0.5)
    ones = Initialiser(kind=InitialiserKind.ONES)
    vector, square = (dimension,), (dimension, dimension)
    return (
        TensorSpec(name=ATTENTION_GAIN, shape=vector, init=ones),
        TensorSpec(name=ATTENTION_BIAS, shape=vector),
        TensorSpec(name=PROJECTIONS, shape=(3 * dimension, dimension), init=normal),
        TensorSpec(name=FEED_FORWARD_GAIN, shape=vector, init=ones),
        TensorSpec(name=FEED_FORWARD_BIAS, shape=vector),
        TensorSpec(name=INNER_WEIGHT, shape=square, init=normal),
        TensorSpec(name=INNER_BIAS, shape=vector),
        TensorSpec(name=OUTER_WEIGHT, shape=square, init=normal),
        TensorSpec(name=OUTER_BIAS, shape=vector),
    )


class Layer(ABC):
    """stream + dropout(transformed(normalised(stream))).

    Args:
        weights: The block's tensors by their names in a block.
        stream: Shape (length, dimension).
        mask: What dropout multiplies with, of the same shape; None drops nothing.
    """

    gain: str
    bias: str

    def __init__(self, weights: Tensors, stream: Matrix, mask: Matrix | None) -> None:
        self._weights, self._mask = weights, mask
        self._normalised = LayerNorm(stream, weights[self.gain], weights[self.bias])
        self.output: Matrix = self._transform(self._normalised.output)
        if mask is not None:
            self.output *= mask
        self.output += stream

    def back(self, error: Matrix) -> tuple[Matrix, Gradients]:
        """The loss's gradients by the stream and by the weights, from that by the output."""
        by_normal, gradients = self._transform_back(error if self._mask is None else error * self._mask)
        by_stream, gradients[self.gain], gradients[self.bias] = self._normalised.back(by_normal)
        by_stream += error
        return by_stream, gradients

    @abstractmethod
    def _transform(self, normal: Matrix) -> Matrix:
        """What is added to the stream, in an array of its own."""

    @abstractmethod
    def _transform_back(self, error: Matrix) -> tuple[Matrix, Gradients]:
        """Gradients by what was transformed and by the weights that did it."""


class Attention(Layer):
    """Each position takes from itself and those before it what resembles its query.

    The matrices of queries, keys and values lie in one tensor, as in `torch.nn.MultiheadAttention`: one product of
    three times the size is faster than three.
    """

    gain, bias = ATTENTION_GAIN, ATTENTION_BIAS

    def _transform(self, normal: Matrix) -> Matrix:
        size = normal.shape[1]
        projected = normal @ self._weights[PROJECTIONS].T
        self._query, self._key, self._value = (projected[:, at : at + size] for at in (0, size, 2 * size))
        self._query *= np.float32(size**-0.5)
        self._share = _causal_softmax(self._query @ self._key.T)
        return np.asarray(self._share @ self._value)

    def _transform_back(self, error: Matrix) -> tuple[Matrix, Gradients]:
        size = error.shape[1]
        score_error = error @ self._value.T
        score_error *= self._share
        score_error -= self._share * (score_error @ np.ones(len(error), dtype=np.float32))[:, None]
        by_projected = np.empty((len(error), 3 * size), dtype=np.float32)
        np.matmul(score_error, self._key, out=by_projected[:, :size])
        by_projected[:, :size] *= np.float32(size**-0.5)
        np.matmul(score_error.T, self._query, out=by_projected[:, size : 2 * size])
        np.matmul(self._share.T, error, out=by_projected[:, 2 * size :])
        gradients = {PROJECTIONS: by_projected.T @ self._normalised.output}
        return by_projected @ self._weights[PROJECTIONS], gradients


class FeedForward(Layer):
    """Two linear layers with a rectifier between them, at each position alone."""

    gain, bias = FEED_FORWARD_GAIN, FEED_FORWARD_BIAS

    def _transform(self, normal: Matrix) -> Matrix:
        inner = normal @ self._weights[INNER_WEIGHT].T
        inner += self._weights[INNER_BIAS]
        self._inner: Matrix = np.maximum(inner, 0, out=inner)
        outer = inner @ self._weights[OUTER_WEIGHT].T
        outer += self._weights[OUTER_BIAS]
        return np.asarray(outer)

    def _transform_back(self, error: Matrix) -> tuple[Matrix, Gradients]:
        by_inner = error @ self._weights[OUTER_WEIGHT]
        by_inner *= self._inner > 0
        gradients = {
            OUTER_WEIGHT: error.T @ self._inner,
            OUTER_BIAS: column_sums(error),
            INNER_WEIGHT: by_inner.T @ self._normalised.output,
            INNER_BIAS: column_sums(by_inner),
        }
        return by_inner @ self._weights[INNER_WEIGHT], gradients


def _causal_softmax(scores: Matrix) -> Matrix:
    """Shares of a row's position and those before it, in place."""
    length = len(scores)
    scores += _future(1 << (length - 1).bit_length())[:length, :length]  # nobody looks ahead
    scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores *= (1.0 / (scores @ np.ones(length, dtype=np.float32)))[:, None]
    return scores


@lru_cache(maxsize=16)
def _future(length: int) -> Matrix:
    """Minus infinity above the diagonal, zero elsewhere. Few lengths are asked for: powers of two."""
    return np.triu(np.full((length, length), -np.inf, dtype=np.float32), 1)
