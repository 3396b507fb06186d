"""Forward and backward pass of a softmax autoencoder with one tanh hidden layer.

Tensors have the names and layout of two `torch.nn.Linear` layers called `encoder` and `decoder`.
"""

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.tensors import Tensors

ENCODER_WEIGHT = "encoder.weight"
ENCODER_BIAS = "encoder.bias"
DECODER_WEIGHT = "decoder.weight"
DECODER_BIAS = "decoder.bias"

Matrix = NDArray[np.float32]


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
