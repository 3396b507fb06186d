"""Forward and backward pass of a softmax autoencoder with one tanh hidden layer.

Tensors have the names and layout of two `torch.nn.Linear` layers called `encoder` and `decoder`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.tensors import Tensors
from fedrec_recipes.recipe import History

ENCODER_WEIGHT = "encoder.weight"
ENCODER_BIAS = "encoder.bias"
DECODER_WEIGHT = "decoder.weight"
DECODER_BIAS = "decoder.bias"

Matrix = NDArray[np.float32]


def interaction_matrix(histories: Sequence[History], number_of_items: int) -> Matrix:
    """Binary interactions, shape (len(histories), number_of_items)."""
    matrix = np.zeros((len(histories), number_of_items), dtype=np.float32)
    for row, history in zip(matrix, histories, strict=True):
        row[history.items] = 1.0
    return matrix


def unit_length(interactions: Matrix) -> Matrix:
    """Rows divided by their L2 norms: the network's inputs. An empty row stays empty."""
    norms = np.sqrt(np.maximum(interactions.sum(axis=1, keepdims=True), 1.0))
    return np.asarray(interactions / norms, dtype=np.float32)


def distribution(interactions: Matrix) -> Matrix:
    """Rows divided by their sums: the network's targets. An empty row stays empty."""
    counts = np.maximum(interactions.sum(axis=1, keepdims=True), 1.0)
    return np.asarray(interactions / counts, dtype=np.float32)


def drop(inputs: Matrix, probability: float, generator: np.random.Generator) -> Matrix:
    """Inverted dropout: each input is zero with this probability, the others grow to make up for it."""
    kept = generator.random(inputs.shape, dtype=np.float32) >= probability
    return inputs * kept / np.float32(1.0 - probability)


def logits(parameters: Tensors, inputs: Matrix) -> Matrix:
    """Scores of all items, shape (batch, number_of_items)."""
    hidden = np.tanh(inputs @ parameters[ENCODER_WEIGHT].T + parameters[ENCODER_BIAS])
    return np.asarray(hidden @ parameters[DECODER_WEIGHT].T + parameters[DECODER_BIAS], dtype=np.float32)


def gradients(parameters: Tensors, inputs: Matrix, targets: Matrix) -> dict[str, Matrix]:
    """Gradient of the batch's mean multinomial loss, -sum_i target_i log softmax(logits)_i.

    Args:
        parameters: The four tensors.
        inputs: What the encoder sees, shape (batch, number_of_items).
        targets: Rows that sum to 1, same shape.
    """
    hidden = np.tanh(inputs @ parameters[ENCODER_WEIGHT].T + parameters[ENCODER_BIAS])
    output = hidden @ parameters[DECODER_WEIGHT].T + parameters[DECODER_BIAS]
    error = np.exp(output - output.max(axis=1, keepdims=True))
    error /= error.sum(axis=1, keepdims=True)
    error -= targets
    error /= np.float32(len(inputs))
    hidden_error = (error @ parameters[DECODER_WEIGHT]) * (1.0 - hidden * hidden)
    return {
        ENCODER_WEIGHT: hidden_error.T @ inputs,
        ENCODER_BIAS: hidden_error.sum(axis=0),
        DECODER_WEIGHT: error.T @ hidden,
        DECODER_BIAS: error.sum(axis=0),
    }
