"""One recipe, trained and measured on validation items."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.initialise import initial_parameters
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.evaluation import Estimate, HeldOut, estimate
from fedrec_recipes.metrics import metric_value
from fedrec_recipes.recipe import History, Recipe
from simulation.advice.candidates import label
from simulation.final_test import ranks_of

METRICS = ("hr@10", "ndcg@10")
MOST_RANKED = 2000
"""People whose validation items are ranked; the others only train: a model is as good as its people are many."""
_ENOUGH_FOR_THE_BASELINE = 0.1
"""Share of the data from which a trial tells that nothing can be learnt from all of it."""


@dataclass(frozen=True)
class Trial:
    """One recipe on the validation items of some of the people."""

    recipe: str
    """Its name, with what is not its default."""
    metrics: dict[str, Estimate]
    """Means over people with 95% bootstrap intervals."""
    people: int
    """Who it was trained on."""
    items: int
    """The most popular items of the catalogue that the trial was about; all, if there was time."""
    training_seconds: float
    ranking_seconds: float
    gains: NDArray[np.float64] = field(repr=False, compare=False)
    """NDCG@10 of each person who was ranked."""
    shared: Tensors | None = field(default=None, repr=False, compare=False)
    """What was trained; None where it is not kept."""

    @property
    def seconds(self) -> float:
        """What it took."""
        return self.training_seconds + self.ranking_seconds


def try_recipe(recipe: Recipe[Any], histories: Sequence[History], seed: int, *, is_kept: bool = False) -> Trial:
    """Train centrally, which is what a recipe's rounds come to, and rank the last items of the first people.

    Args:
        recipe: What to try.
        histories: Two interactions or more; the last one validates.
        seed: Of training and of intervals.
        is_kept: Whether the trial holds what was trained.
    """
    started = time.perf_counter()
    shared = trained(recipe, histories, seed)
    training_seconds = time.perf_counter() - started
    cases = held_out(histories[:MOST_RANKED])
    ranks = ranks_of(recipe, shared, lambda _: {}, cases, keeps_seen=recipe.keeps_seen)
    found = trial_of(
        label(recipe),
        ranks,
        people=len(histories),
        items=recipe.config.number_of_items,
        training_seconds=training_seconds,
        ranking_seconds=time.perf_counter() - started - training_seconds,
        seed=seed,
    )
    return replace(found, shared=shared) if is_kept else found


def trained(recipe: Recipe[Any], histories: Sequence[History], seed: int, **options: Any) -> Tensors:
    """The model that all but the last items make.

    Training begins with the parameters that a task of the same seed begins with: what is drawn at random, such as the
    hyperplanes of `blend`, is then the same in both.

    Args:
        recipe: What to train.
        histories: Two interactions or more.
        seed: Of the first parameters and of training.
        options: Of the recipe's `train_central`.
    """
    known = [recipe.known(history.without_last(1)) for history in histories]
    start = initial_parameters(recipe.shared, seed)
    return recipe.train_central(known, np.random.default_rng(seed), base=start, **options)


def held_out(histories: Sequence[History]) -> list[HeldOut]:
    """Everybody's last item, given what was before."""
    return [HeldOut(person, each.without_last(1), int(each.items[-1])) for person, each in enumerate(histories)]


def trial_of(
    recipe: str,
    ranks: NDArray[np.int64],
    *,
    people: int,
    items: int,
    training_seconds: float,
    ranking_seconds: float,
    seed: int,
) -> Trial:
    """What the ranks of validation items say."""
    metrics = {name: estimate(name, ranks, np.random.default_rng(seed)) for name in METRICS}
    gains = np.array([metric_value("ndcg@10", int(rank)) for rank in ranks])
    return Trial(recipe, metrics, people, items, training_seconds, ranking_seconds, gains)


def preferred(trials: Sequence[Trial], *, share: float = 1.0) -> int:
    """Which trial's recipe to propose: the first that the best does not clearly surpass.

    The baseline comes first, as it costs least, and then the candidates in the order of preference. Clearly is by more
    than a standard error of the difference on the same people.

    Args:
        trials: The baseline first.
        share: How much of the data was tried. The rest would teach the others more and the baseline nothing, so that it
            is proposed only where it clearly surpasses them all, and never after a look at hardly any of it.
    """
    others = trials[1:]
    is_too_little = share < _ENOUGH_FOR_THE_BASELINE
    if share < 1 and others and (is_too_little or not _surpasses(trials[0], _best(others))):
        return 1 + preferred(others)
    best = _best(trials)
    return next(place for place, trial in enumerate(trials) if not _surpasses(best, trial))


def _best(trials: Sequence[Trial]) -> Trial:
    return max(trials, key=lambda trial: trial.metrics["ndcg@10"].mean)


def _surpasses(one: Trial, other: Trial) -> bool:
    difference: NDArray[np.float64] = one.gains - other.gains
    return float(difference.mean()) > float(difference.std()) / math.sqrt(len(difference))
