"""Attacks that multiply the report: sign flipping and boosting."""

from dataclasses import dataclass

import numpy as np

from fedrec_protocol.tensors import Tensors
from fedrec_recipes.recipe import History


@dataclass(frozen=True)
class Scaling:
    """Reports `factor` times what was learnt.

    A large positive factor lets one participant's model replace the average (Bagdasaryan et al. 2018,
    https://arxiv.org/abs/1807.00459); the norm bound is what limits it.
    """

    factor: float = 10.0

    def poison_history(self, history: History, generator: np.random.Generator) -> History:
        return history

    def poison_report(self, report: Tensors, generator: np.random.Generator) -> Tensors:
        return {name: (self.factor * values).astype(np.float32) for name, values in report.items()}


SIGN_FLIP = Scaling(-1.0)
"""Reports the opposite of what was learnt (Li et al. 2019, https://arxiv.org/abs/1811.03761)."""
