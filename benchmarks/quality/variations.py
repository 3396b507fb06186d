"""Data sets of other shapes, made of those at hand: fewer people, fewer items, shorter histories, no order."""

from collections.abc import Callable

import numpy as np

from fedrec.data.interactions import Interactions, from_columns
from fedrec_recipes.recipe import History

Variation = Callable[[list[History], np.random.Generator], list[History]]


def _as_it_is(histories: list[History], _: np.random.Generator) -> list[History]:
    return histories


def _without_order(histories: list[History], generator: np.random.Generator) -> list[History]:
    return [History(generator.permutation(history.items)) for history in histories]


def _few_people(histories: list[History], generator: np.random.Generator) -> list[History]:
    return [histories[person] for person in generator.permutation(len(histories))[:300]]


def _a_tenth_of_the_people(histories: list[History], generator: np.random.Generator) -> list[History]:
    return [histories[person] for person in generator.permutation(len(histories))[: len(histories) // 10]]


def _frequent_items(histories: list[History], _: np.random.Generator) -> list[History]:
    return _only(histories, _counts(histories) >= 20)


def _top_items(histories: list[History], _: np.random.Generator) -> list[History]:
    counts = _counts(histories)
    kept = np.zeros(len(counts), dtype=np.bool_)
    kept[np.argsort(-counts, kind="stable")[:500]] = True
    return _only(histories, kept)


def _short_histories(histories: list[History], _: np.random.Generator) -> list[History]:
    return [History(history.items[-10:]) for history in histories]


VARIATIONS: dict[str, Variation] = {
    "as it is": _as_it_is,
    "without order": _without_order,
    "300 people": _few_people,
    "a tenth of the people": _a_tenth_of_the_people,
    "items of 20 people": _frequent_items,
    "500 top items": _top_items,
    "last 10 of each": _short_histories,
}
"""By name."""


def varied(interactions: Interactions, name: str) -> Interactions:
    """A variation of a data set, from one seed; items nobody chose and people with fewer than three are left out."""
    generator = np.random.default_rng(0)
    made = VARIATIONS[name](interactions.histories(), generator)
    rows = [(person, item) for person, h in enumerate(made) if len(h) >= 3 for item in h.items.tolist()]
    return from_columns([str(person) for person, _ in rows], [str(item) for _, item in rows])


def _counts(histories: list[History]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.bincount(np.concatenate([history.items for history in histories]))


def _only(histories: list[History], kept: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> list[History]:
    return [History(history.items[kept[history.items]]) for history in histories]
