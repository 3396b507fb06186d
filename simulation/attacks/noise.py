"""An attack that reports noise."""

from dataclasses import dataclass

import numpy as np

from fedrec_protocol.tensors import Tensors
from fedrec_recipes.recipe import History


@dataclass(frozen=True)
class GaussianNoise:
    """Reports Gaussian noise instead of what was learnt (Blanchard et al. 2017, https://arxiv.org/abs/1703.02757)."""

    standard_deviation: float = 1.0
    """In parameter units."""

    def poison_history(self, history: History, generator: np.random.Generator) -> History:
        return history

    def poison_report(self, report: Tensors, generator: np.random.Generator) -> Tensors:
        return {
            name: generator.normal(0.0, self.standard_deviation, values.shape).astype(np.float32)
            for name, values in report.items()
        }
