"""Two recipes as one, measured on validation items with weights that other people chose."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.manifest import RecipeChoice
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.combined import Combined, CombinedConfig
from fedrec_recipes.recipe import History, Recipe
from simulation.advice.candidates import label
from simulation.advice.trial import MOST_RANKED, Trial, held_out, trial_of


def both_of(first: Recipe[Any], second: Recipe[Any]) -> Combined:
    """What adds up the scores of two recipes."""
    members: tuple[RecipeChoice, ...] = (first.choice, second.choice)
    return Combined(CombinedConfig(number_of_items=first.config.number_of_items, members=members))


def name_of(both: Combined) -> str:
    """What both are called together."""
    return " + ".join(label(member) for member in both.members)


def try_both(
    both: Combined, members: Sequence[Tensors], histories: Sequence[History], *, training_seconds: float, seed: int
) -> Trial:
    """Rank the last items of the first people with weights that other people chose by theirs.

    Half of the people choose for the other half: nobody is measured with weights that their own item had a part in, and
    the members learnt from as much as in a trial of one alone.

    Args:
        both: What to try.
        members: What was trained of each, without anybody's last item.
        histories: Two interactions or more; the last one validates.
        training_seconds: What it took to train the members.
        seed: Of the intervals.
    """
    started = time.perf_counter()
    base = both.combination(members)
    alternatives = np.stack([both.ranks(base, case) for case in held_out(histories[:MOST_RANKED])])
    return trial_of(
        name_of(both),
        _chosen_by_others(both, alternatives),
        people=len(histories),
        items=both.config.number_of_items,
        training_seconds=training_seconds,
        ranking_seconds=time.perf_counter() - started,
        seed=seed,
    )


def _chosen_by_others(both: Combined, alternatives: NDArray[np.int64]) -> NDArray[np.int64]:
    """Everybody's rank under the alternative that the other half of the people chose.

    Args:
        both: Whose grid of weights the alternatives are.
        alternatives: Ranks, shape (people, alternatives).
    """
    ranks = np.zeros(len(alternatives), dtype=np.int64)
    for asked in (0, 1):
        totals = {spec.name: np.zeros(spec.shape) for spec in both.statistics}
        for of_one in alternatives[1 - asked :: 2]:
            both.add_ranks(totals, of_one)
        ranks[asked::2] = alternatives[asked::2, both.chosen(totals)]
    return ranks
