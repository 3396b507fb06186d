"""An attack on the data: honest training on items that were never chosen."""

from dataclasses import dataclass

import numpy as np

from fedrec_protocol.tensors import Tensors
from fedrec_recipes.recipe import History


@dataclass(frozen=True)
class LabelShuffling:
    """Learns from as many random items as were chosen, each at most once.

    The recommender's form of label flipping (Tolpegin et al. 2020, https://arxiv.org/abs/2007.08432).
    """

    number_of_items: int

    def poison_history(self, history: History, generator: np.random.Generator) -> History:
        count = min(len(history), self.number_of_items)
        items = generator.choice(self.number_of_items, size=count, replace=False).astype(np.int64)
        return History(items, None if history.times is None else history.times[:count])

    def poison_report(self, report: Tensors, generator: np.random.Generator) -> Tensors:
        return report
