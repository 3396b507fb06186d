"""Rows of item tables that too few people are behind stay as they are."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from fedrec_protocol.base import Message
from fedrec_protocol.tensors import Tensors

ITEM_POPULARITY = "item_popularity"
"""Name of the tensor by which recipes share how many people are behind each item."""


class PopularityFloor(Message):
    """What a row of an item table needs before anybody's training moves it.

    A row that one participant touched shows that participant's gradient, even in an exact sum. So devices leave rows
    below the floor out of their reports, and the server publishes them unchanged whatever was reported. The count is a
    tensor of the model that is trained like the others: it reaches the server in the sum only.
    """

    share: str
    """Name of the shared tensor, shape (rows,), that holds the share of a cohort behind each row: `item_popularity` in
    recipe `mf`, and in those whose configuration says `counts_people`."""
    tables: tuple[str, ...] = Field(min_length=1)
    """Names of the shared tensors whose rows are held: shape (rows, ...), or (..., rows) where a row is a column."""
    minimum_people: PositiveInt
    """m: a row is trained when share times aggregation goal, the people behind it in a round, is at least this."""

    def is_held(self, base: Tensors, aggregation_goal: int) -> NDArray[np.bool_]:
        """Which rows are held in a round that starts from `base`, shape (rows,)."""
        people = np.asarray(base[self.share], np.float64) * aggregation_goal
        return ~(people >= self.minimum_people)  # also where the share is not a number

    def report(self, delta: Tensors, base: Tensors, aggregation_goal: int) -> Tensors:
        """A device's delta without the held rows."""
        is_held = self.is_held(base, aggregation_goal)
        return {**delta, **{name: _with_rows(delta[name], is_held, np.zeros(1)) for name in self.tables}}

    def publish(self, parameters: Tensors, base: Tensors, aggregation_goal: int) -> Tensors:
        """The next parameters with the held rows as they were."""
        is_held = self.is_held(base, aggregation_goal)
        return {**parameters, **{name: _with_rows(parameters[name], is_held, base[name]) for name in self.tables}}


def _with_rows(table: NDArray[Any], is_held: NDArray[np.bool_], rows: NDArray[Any]) -> NDArray[Any]:
    """The table with its held rows from `rows`, same shape and dtype."""
    is_first = table.shape[0] == len(is_held)
    held = is_held.reshape(-1, *([1] * (table.ndim - 1))) if is_first else is_held
    return np.where(held, rows, table).astype(table.dtype)
