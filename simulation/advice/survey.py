"""What can be seen of a data set without training anything."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from fedrec.data.interactions import Interactions
from fedrec_recipes.recipe import History

_TIED = 0.95
"""Share of neighbours at the same time beyond which times tell no order."""
_SORTED = 0.8
"""Share of steps in one direction from which rows are taken to be sorted; by chance it is a half. Parts that are sorted
each, such as what was set aside to train and to test, have breaks between them."""
_FEWEST_STEPS = 100
_MANY_ITEMS = 20_000
_SUPPORT = 5
"""Interactions of an item below which little can be learnt of it."""

SORTED_BY_ITEM = "Rows are sorted by item, not by time: next items cannot be learnt or measured"
"""What to say of data in the order of items."""


class Order(StrEnum):
    """What the order of a person's interactions rests on."""

    TIME = "time"  # timestamps tell most of it
    FILE = "file"  # no timestamps, or ties throughout: the order of the rows is taken for that of time
    ITEM = "item"  # rows are sorted by item: there is no order in time to learn from, or to evaluate by


@dataclass(frozen=True)
class Survey:
    """The size and shape of a data set."""

    people: int
    """Who can take part: at least three different items."""
    left_out: int
    """People with fewer."""
    items: int
    interactions: int
    """Rows of the source."""
    median_history: float
    """Different items of a person."""
    longest_history: int
    density: float
    """Share of all pairs of person and item that occur."""
    repeated: float
    """Share of the rows that name an item their person had before; recipes count an item once."""
    order: Order
    tied: float | None
    """Share of neighbouring interactions with equal times; None without timestamps."""


def survey(interactions: Interactions, histories: list[History]) -> Survey:
    """Look at a data set and at the histories made of it."""
    lengths = np.array([len(history) for history in histories])
    long = lengths >= 3
    pairs = int(lengths.sum())
    tied = None if interactions.times is None else _share(_steps(histories, lambda history: history.times) == 0)
    return Survey(
        people=int(long.sum()),
        left_out=int((~long).sum()),
        items=interactions.number_of_items,
        interactions=len(interactions),
        median_history=float(np.median(lengths[long])) if long.any() else 0.0,
        longest_history=int(lengths.max(initial=0)),
        density=pairs / max(len(lengths) * interactions.number_of_items, 1),
        repeated=1 - pairs / max(len(interactions), 1),
        order=_order(interactions, histories, tied),
        tied=tied,
    )


def remark_on_rare_items(interactions: Interactions) -> str | None:
    """What to say where most of a large catalogue is items that hardly anybody chose; None elsewhere."""
    items = interactions.number_of_items
    rare = int(np.count_nonzero(np.bincount(interactions.items, minlength=items) < _SUPPORT))
    if items <= _MANY_ITEMS or rare <= items / 2:
        return None
    return (
        f"Of {items:,} items {rare:,} have fewer than {_SUPPORT} interactions: --minimum-support {_SUPPORT} leaves "
        "them out, and everything is smaller and takes less time."
    )


def order_of(interactions: Interactions, histories: list[History]) -> Order:
    """What the order of histories rests on."""
    return survey(interactions, histories).order


def _order(interactions: Interactions, histories: list[History], tied: float | None) -> Order:
    if tied is not None and tied < _TIED:
        return Order.TIME
    steps = _steps_to_known_items(histories, _places(interactions.item_ids))
    is_sorted = len(steps) >= _FEWEST_STEPS and max(_share(steps > 0), _share(steps < 0)) > _SORTED
    return Order.ITEM if is_sorted else Order.FILE


def _steps_to_known_items(histories: list[History], place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Differences in place between neighbours, where somebody had the second item before.

    Ids are often numbers in the order in which a file names items first: those steps go up in any order of rows.
    """
    people = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
    items = np.concatenate([history.items for history in histories])
    is_known = np.ones(len(items), dtype=np.bool_)
    is_known[np.unique(items, return_index=True)[1]] = False
    steps: NDArray[np.float64] = np.diff(place[items])[is_known[1:] & (np.diff(people) == 0)]
    return steps


def _places(item_ids: tuple[str, ...]) -> NDArray[np.float64]:
    """Where each item stands among the sorted ids: as numbers if they are numbers, else as text."""
    if all(name.isdecimal() and len(name) < 16 for name in item_ids):
        return np.array([float(name) for name in item_ids])
    return np.argsort(np.argsort(np.array(item_ids))).astype(np.float64)


def _steps(histories: list[History], values: Callable[[History], NDArray[np.float64] | None]) -> NDArray[np.float64]:
    """Differences between neighbours of all histories."""
    known = (values(history) for history in histories if len(history) > 1)
    differences = [np.diff(each) for each in known if each is not None]
    return np.concatenate(differences) if differences else np.zeros(0)


def _share(claims: NDArray[np.bool_]) -> float:
    return float(claims.mean()) if len(claims) else 0.0
