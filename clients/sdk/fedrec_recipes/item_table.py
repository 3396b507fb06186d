"""Item embeddings as shared tensors: a row for each item, or two small tables whose rows are combined."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.tensors import Initialiser, InitialiserKind, Tensors, TensorSpec

ITEM_EMBEDDINGS = "item_embeddings"
QUOTIENT_EMBEDDINGS = "quotient_embeddings"
REMAINDER_EMBEDDINGS = "remainder_embeddings"

Table = NDArray[np.float32]


@dataclass(frozen=True)
class ItemTable:
    """The embeddings of a catalogue.

    With `remainders` R, item i has the elementwise product of row i // R of one table and row i % R of another:
    compositional embeddings by quotient and remainder, Shi et al. 2020, https://arxiv.org/abs/1909.02107. No two items
    have both rows in common, and number_of_items / R + R rows are trained instead of number_of_items. A report is as
    small, and dense: its rows do not say which item was chosen, only which items it may be.
    """

    number_of_items: int
    dimension: int
    remainders: int | None = None
    """R, best about the root of the number of items; None gives each item a row of its own."""

    @property
    def specs(self) -> tuple[TensorSpec, ...]:
        """The shared tensors; embeddings start small, remainders at one."""
        small = Initialiser(kind=InitialiserKind.NORMAL, scale=0.3 / self.dimension**0.5)
        if self.remainders is None:
            return (TensorSpec(name=ITEM_EMBEDDINGS, shape=(self.number_of_items, self.dimension), init=small),)
        ones = Initialiser(kind=InitialiserKind.ONES)
        quotients = -(-self.number_of_items // self.remainders)
        return (
            TensorSpec(name=QUOTIENT_EMBEDDINGS, shape=(quotients, self.dimension), init=small),
            TensorSpec(name=REMAINDER_EMBEDDINGS, shape=(self.remainders, self.dimension), init=ones),
        )

    def of(self, parameters: Tensors) -> Table:
        """The embeddings of all items, shape (number_of_items, dimension)."""
        if self.remainders is None:
            return np.asarray(parameters[ITEM_EMBEDDINGS])
        quotients, remainders = parameters[QUOTIENT_EMBEDDINGS], parameters[REMAINDER_EMBEDDINGS]
        products = quotients[:, None, :] * remainders[None, :, :]
        return np.asarray(products.reshape(-1, self.dimension)[: self.number_of_items])

    def gradient(self, parameters: Tensors, by_table: Table) -> dict[str, Table]:
        """The gradient by the shared tensors.

        Args:
            parameters: The shared tensors.
            by_table: The gradient by the embeddings of all items, shape (number_of_items, dimension).
        """
        if self.remainders is None:
            return {ITEM_EMBEDDINGS: by_table}
        quotients, remainders = parameters[QUOTIENT_EMBEDDINGS], parameters[REMAINDER_EMBEDDINGS]
        blocks = np.zeros((len(quotients), self.remainders, self.dimension), dtype=np.float32)
        blocks.reshape(-1, self.dimension)[: self.number_of_items] = by_table
        return {
            QUOTIENT_EMBEDDINGS: np.asarray((blocks * remainders[None, :, :]).sum(axis=1)),
            REMAINDER_EMBEDDINGS: np.asarray((blocks * quotients[:, None, :]).sum(axis=0)),
        }
