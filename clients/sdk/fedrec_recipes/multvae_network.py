"""Forward and backward pass of a variational autoencoder over one person's items.

Only the rows of the person's items enter the encoder, so that its cost follows the history and not the catalogue.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.tensors import Tensors

ENCODER_ITEMS = "encoder.items"
ENCODER_BIAS = "encoder.bias"
MEAN_WEIGHT = "mean.weight"
MEAN_BIAS = "mean.bias"
LOG_VARIANCE_WEIGHT = "log_variance.weight"
LOG_VARIANCE_BIAS = "log_variance.bias"
DECODER_WEIGHT = "decoder.weight"
DECODER_BIAS = "decoder.bias"
OUTPUT_ITEMS = "output.items"
OUTPUT_BIAS = "output.bias"

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Noise:
    """What is random in one training pass."""

    inputs: Array
    """Weights of the person's items in the input, dropout included, shape (n,)."""
    latent: Array
    """Standard normal, shape (latent_size,)."""


@dataclass(frozen=True)
class Encoded:
    """The approximate posterior of one person."""

    hidden: Array
    mean: Array
    log_variance: Array


def input_weights(count: int) -> Array:
    """The binary history scaled to unit length."""
    return np.full(count, 1.0 / max(count, 1) ** 0.5, dtype=np.float32)


def encode(parameters: Tensors, items: NDArray[np.int64], weights: Array) -> Encoded:
    """Mean and log variance of the latent vector, each of shape (latent_size,)."""
    hidden = np.tanh(weights @ parameters[ENCODER_ITEMS][items] + parameters[ENCODER_BIAS])
    return Encoded(
        hidden,
        parameters[MEAN_WEIGHT] @ hidden + parameters[MEAN_BIAS],
        parameters[LOG_VARIANCE_WEIGHT] @ hidden + parameters[LOG_VARIANCE_BIAS],
    )


def decode(parameters: Tensors, latent: Array) -> tuple[Array, Array]:
    """The decoder's hidden layer, shape (hidden_size,), and the logits, shape (number_of_items,)."""
    hidden = np.tanh(parameters[DECODER_WEIGHT] @ latent + parameters[DECODER_BIAS])
    return hidden, parameters[OUTPUT_ITEMS] @ hidden + parameters[OUTPUT_BIAS]


def gradients(parameters: Tensors, items: NDArray[np.int64], noise: Noise, kl_weight: float) -> dict[str, Array]:
    """Gradient of (-sum_i log softmax(logits)_i + kl_weight KL) / n over a person's n items.

    KL is the divergence of the posterior from the standard normal; the latent vector is mean + latent noise times
    standard deviation (Kingma and Welling 2014, https://arxiv.org/abs/1312.6114).

    Args:
        parameters: The ten tensors.
        items: The person's items, shape (n,), each once.
        noise: Input weights and latent noise.
        kl_weight: beta.
    """
    encoded = encode(parameters, items, noise.inputs)
    deviation = np.exp(encoded.log_variance / 2)
    latent = encoded.mean + noise.latent * deviation
    hidden, logits = decode(parameters, latent)

    error = np.exp(logits - logits.max())
    error /= error.sum()
    error[items] -= np.float32(1.0 / len(items))
    hidden_error = (error @ parameters[OUTPUT_ITEMS]) * (1.0 - hidden * hidden)
    latent_error = hidden_error @ parameters[DECODER_WEIGHT]
    pull = np.float32(kl_weight / len(items))
    mean_error = latent_error + pull * encoded.mean
    variance_error = latent_error * noise.latent * deviation / 2 + pull * (deviation * deviation - 1.0) / 2
    encoder_error = mean_error @ parameters[MEAN_WEIGHT] + variance_error @ parameters[LOG_VARIANCE_WEIGHT]
    encoder_error = encoder_error * (1.0 - encoded.hidden * encoded.hidden)

    by_items = np.zeros_like(parameters[ENCODER_ITEMS])
    by_items[items] = np.outer(noise.inputs, encoder_error)
    return {
        ENCODER_ITEMS: by_items,
        ENCODER_BIAS: encoder_error,
        MEAN_WEIGHT: np.outer(mean_error, encoded.hidden),
        MEAN_BIAS: mean_error,
        LOG_VARIANCE_WEIGHT: np.outer(variance_error, encoded.hidden),
        LOG_VARIANCE_BIAS: variance_error,
        DECODER_WEIGHT: np.outer(hidden_error, latent),
        DECODER_BIAS: hidden_error,
        OUTPUT_ITEMS: np.outer(error, hidden),
        OUTPUT_BIAS: error,
    }
