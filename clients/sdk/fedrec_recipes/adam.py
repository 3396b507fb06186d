"""The Adam optimizer on named numpy arrays, for central training."""

import numpy as np
from numpy.typing import NDArray

Parameters = dict[str, NDArray[np.float32]]


class Adam:
    """Adam (Kingma and Ba 2015, https://arxiv.org/abs/1412.6980) with its usual decay rates."""

    def __init__(self, parameters: Parameters, learning_rate: float) -> None:
        self.parameters = parameters
        self.learning_rate = learning_rate
        self._steps = 0
        self._mean = {name: np.zeros_like(value) for name, value in parameters.items()}
        self._square = {name: np.zeros_like(value) for name, value in parameters.items()}

    def step(self, gradient: Parameters) -> None:
        """Move the parameters, in place."""
        self._steps += 1
        mean_correction, square_correction = 1 - 0.9**self._steps, 1 - 0.999**self._steps
        for name, value in gradient.items():
            self._mean[name] += 0.1 * (value - self._mean[name])
            self._square[name] += 0.001 * (value * value - self._square[name])
            direction = self._mean[name] / mean_correction
            direction /= np.sqrt(self._square[name] / square_correction) + 1e-8
            self.parameters[name] -= np.float32(self.learning_rate) * direction
