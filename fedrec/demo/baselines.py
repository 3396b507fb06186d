"""What the federated model is measured against: popularity, and the same recipe with all data in one place."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedrec.demo.films import Films
from fedrec_recipes.evaluation import Scorer, mean_metric, ranks
from fedrec_recipes.recipe import Recipe


@dataclass(frozen=True)
class Quality:
    """Full-ranking quality on the test films."""

    hit_rate: float
    """HR@10."""
    ndcg: float
    """NDCG@10."""


def popularity(films: Films) -> Quality:
    """Everybody is recommended the films that most people have rated."""
    counts = np.zeros(films.number_of_items)
    for history in films.split.train:
        counts[history.items] += 1
    return _measure(lambda _: counts, films)


def central(recipe: Recipe[Any], films: Films, seed: int) -> Quality:
    """The same recipe, trained on everybody's ratings in one place: what the devices' privacy costs."""
    shared = recipe.train_central(films.split.train, np.random.default_rng(seed))
    return _measure(lambda history: recipe.score(shared, {}, history), films)


def of_recommendations(films: Films, recommended: dict[int, list[int]]) -> Quality:
    """Quality of everybody's ten recommendations, best first."""
    found = [
        recommended[case.person].index(case.target) + 1 if case.target in recommended[case.person] else 11
        for case in films.split.test
    ]
    return _quality(np.array(found))


def _measure(score: Scorer, films: Films) -> Quality:
    return _quality(ranks(score, films.split.test))


def _quality(of_ranks: NDArray[np.int64]) -> Quality:
    return Quality(mean_metric("hr@10", of_ranks), mean_metric("ndcg@10", of_ranks))
