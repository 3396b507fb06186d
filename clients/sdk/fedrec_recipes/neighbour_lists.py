"""The heaviest neighbours of every item: what a model keeps of a matrix of item weights that is too large for it."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.tensors import DType, Tensors, TensorSpec

NEIGHBOURS = "neighbours"
NEIGHBOUR_WEIGHTS = "neighbour_weights"


def neighbour_lists(number_of_items: int, length: int) -> tuple[TensorSpec, TensorSpec]:
    """Weights and neighbours of each item, heaviest first: six bytes each."""
    shape = (number_of_items, min(length, number_of_items))
    return (
        TensorSpec(name=NEIGHBOUR_WEIGHTS, dtype=DType.F16, shape=shape),
        TensorSpec(name=NEIGHBOURS, dtype=DType.I32, shape=shape),
    )


def heaviest(
    found: Iterable[tuple[int, NDArray[np.int64], NDArray[np.float32]]], number_of_items: int, length: int
) -> dict[str, NDArray[Any]]:
    """The lists of items; those of items that are not there are empty, which is of weight zero.

    Args:
        found: Items, others that each speaks for, and the weights of those, same shape, none negative.
        number_of_items: Size of the catalogue.
        length: Neighbours of a list.
    """
    lists: dict[str, NDArray[Any]] = {
        spec.name: np.zeros(spec.shape, dtype=spec.dtype.numpy) for spec in neighbour_lists(number_of_items, length)
    }
    for item, others, weights in found:
        kept = np.flatnonzero(weights)
        if len(kept) > length:
            kept = kept[np.argpartition(-weights[kept], length - 1)[:length]]
        kept = kept[np.argsort(-weights[kept], kind="stable")]
        lists[NEIGHBOURS][item, : len(kept)] = others[kept]
        lists[NEIGHBOUR_WEIGHTS][item, : len(kept)] = weights[kept]
    return lists


def spoken_for(
    shared: Tensors, items: NDArray[np.int64], item_weights: NDArray[np.float32], number_of_items: int
) -> NDArray[np.float64]:
    """What items say of all items together, shape (number_of_items,).

    Args:
        shared: A model with the tensors of `neighbour_lists`.
        items: Those of a history.
        item_weights: What each of them counts, same shape.
        number_of_items: Size of the catalogue.
    """
    weights = item_weights[:, None] * shared[NEIGHBOUR_WEIGHTS][items].astype(np.float32)
    neighbours = shared[NEIGHBOURS][items].astype(np.int64)
    summed = np.bincount(neighbours.ravel(), weights=weights.ravel(), minlength=number_of_items)
    return np.asarray(summed, dtype=np.float64)
