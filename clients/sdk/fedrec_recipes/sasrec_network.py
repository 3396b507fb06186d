"""Forward and backward pass of a causal transformer over one person's sequence of items.

Blocks of self-attention and feed-forward layers, and a last normalisation; the output at each position predicts the
next item by inner products with the same item embeddings that the input is made of (Kang and McAuley 2018,
https://arxiv.org/abs/1808.09781, with one head). With one sequence a tensor framework's calls would cost more than the
arithmetic.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.tensors import Tensors
from fedrec_recipes.attention_block import Attention, FeedForward, Gradients, Layer
from fedrec_recipes.candidates import Candidates
from fedrec_recipes.layer_norm import LayerNorm, Matrix

ITEM_EMBEDDINGS = "item_embeddings"
POSITION_EMBEDDINGS = "position_embeddings"
OUTPUT_GAIN = "output.gain"
OUTPUT_BIAS = "output.bias"


def block_name(block: int, name: str) -> str:
    """The model's name for a tensor of a block."""
    return f"blocks.{block}.{name}"


class Dropout:
    """Masks of inverted dropout for the embedded items and for both layers of each block."""

    def __init__(self, masks: Sequence[Matrix] | None) -> None:
        self._masks = masks

    @classmethod
    def drawn(
        cls, blocks: int, shape: tuple[int, int], probability: float, generator: np.random.Generator
    ) -> "Dropout":
        """Masks at random, each of zeros and 1 / (1 - probability), shape (length, dimension)."""
        kept = generator.random((1 + 2 * blocks, *shape), dtype=np.float32) >= probability
        return cls(list(kept * np.float32(1.0 / (1.0 - probability))))

    @classmethod
    def off(cls) -> "Dropout":
        """Nothing is dropped: for scoring."""
        return cls(None)

    def __getitem__(self, layer: int) -> Matrix | None:
        """The mask of the embedded items (0) or of a layer, counted from 1."""
        return None if self._masks is None else self._masks[layer]


class Pass:
    """One forward pass, with what the backward pass needs of it.

    Args:
        parameters: The model's tensors.
        blocks: How many blocks it has.
        items: The sequence, oldest first, shape (length,), not longer than there are positions.
        dropout: Masks.
    """

    def __init__(self, parameters: Tensors, blocks: int, items: NDArray[np.int64], dropout: Dropout) -> None:
        self._parameters, self._mask = parameters, dropout[0]
        # The newest item has position 0, so that short and long histories end alike.
        stream = parameters[ITEM_EMBEDDINGS][items]
        stream += parameters[POSITION_EMBEDDINGS][: len(items)][::-1]
        if self._mask is not None:
            stream *= self._mask
        self._layers: list[tuple[int, Layer]] = []
        for block in range(blocks):
            weights = _weights_of(parameters, block)
            for kind in (Attention, FeedForward):
                layer = kind(weights, stream, dropout[1 + len(self._layers)])
                self._layers.append((block, layer))
                stream = layer.output
        self._last = LayerNorm(stream, parameters[OUTPUT_GAIN], parameters[OUTPUT_BIAS])

    @property
    def output(self) -> Matrix:
        """What each position predicts from, shape (length, dimension)."""
        return self._last.output

    def back(self, error: Matrix) -> tuple[Matrix, Gradients]:
        """Gradients by the embeddings of the items, and by all tensors but theirs, from the one by `output`."""
        gradients: Gradients = {}
        error, gradients[OUTPUT_GAIN], gradients[OUTPUT_BIAS] = self._last.back(error)
        for block, layer in reversed(self._layers):
            error, of_layer = layer.back(error)
            gradients |= {block_name(block, name): gradient for name, gradient in of_layer.items()}
        if self._mask is not None:
            error *= self._mask
        positions = self._parameters[POSITION_EMBEDDINGS]
        gradients[POSITION_EMBEDDINGS] = np.zeros_like(positions)
        gradients[POSITION_EMBEDDINGS][: len(error)] = error[::-1]
        return error, gradients


def next_item_gradients(
    parameters: Tensors, blocks: int, items: NDArray[np.int64], dropout: Dropout, candidates: Candidates | None = None
) -> Gradients:
    """Gradients of the mean cross-entropy of predicting each item but the first.

    Args:
        parameters: The model's tensors.
        blocks: How many blocks it has.
        items: Shape (length + 1,), at least two.
        dropout: Masks for `length` positions.
        candidates: The items that compete, `items` among them; None lets all compete.
    """
    forward = Pass(parameters, blocks, items[:-1], dropout)
    table = parameters[ITEM_EMBEDDINGS]
    if candidates is None:
        by_output, by_table = softmax_gradients(forward.output, table, items[1:])
    else:
        by_output, by_rows = softmax_gradients(
            forward.output, table[candidates.items], candidates.places(items[1:]), candidates.log_weights
        )
        by_table = np.zeros_like(table)
        by_table[candidates.items] = by_rows
    by_embedded, gradients = forward.back(by_output)
    np.add.at(by_table, items[:-1], by_embedded)
    return {ITEM_EMBEDDINGS: by_table, **gradients}


def softmax_gradients(
    output: Matrix, table: Matrix, targets: NDArray[np.int64], log_weights: Matrix | None = None
) -> tuple[Matrix, Matrix]:
    """Gradients of the mean cross-entropy between rows' softmax over the table and their targets.

    Args:
        output: Shape (length, dimension).
        table: Shape (n, dimension).
        targets: Rows of the table, shape (length,).
        log_weights: Added to the logits, shape (n,).

    Returns:
        The gradients by `output` and by `table`.
    """
    # What is as large as the logits changes in place, and is divided only when it has become short: time goes here.
    logits = output @ table.T
    if log_weights is not None:
        logits += log_weights
    logits -= logits.max(axis=1, keepdims=True)
    np.exp(logits, out=logits)
    sums = logits @ np.ones(len(table), dtype=np.float32)
    logits[np.arange(len(output)), targets] -= sums
    shares = (1.0 / (sums * np.float32(len(output))))[:, None]
    by_output: Matrix = np.asarray(logits @ table * shares, dtype=np.float32)
    return by_output, np.asarray(logits.T @ (output * shares), dtype=np.float32)


def _weights_of(parameters: Tensors, block: int) -> dict[str, Matrix]:
    """A block's tensors by their names in a block."""
    prefix = block_name(block, "")
    return {name.removeprefix(prefix): value for name, value in parameters.items() if name.startswith(prefix)}
