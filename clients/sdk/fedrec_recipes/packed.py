"""Symmetric matrices as their upper triangle, row by row: half the bytes of a report."""

from functools import cache

import numpy as np
from numpy.typing import NDArray


def packed_size(order: int) -> int:
    """Elements of a packed symmetric matrix of this order."""
    return order * (order + 1) // 2


@cache
def upper_triangle(order: int) -> NDArray[np.int64]:
    """Flat indices of the upper triangle of a whole matrix, in packed order."""
    rows, columns = np.triu_indices(order)
    return np.asarray(rows * order + columns, dtype=np.int64)


def positions(rows: NDArray[np.int64], columns: NDArray[np.int64], order: int) -> NDArray[np.int64]:
    """Where the elements (rows, columns) lie in a packed matrix; broadcasts. Either triangle may be asked for."""
    first, second = np.minimum(rows, columns), np.maximum(rows, columns)
    return np.asarray(first * order - first * (first - 1) // 2 + (second - first), dtype=np.int64)


def unpack(packed: NDArray[np.float64], order: int) -> NDArray[np.float64]:
    """The whole matrix, shape (order, order)."""
    matrix = np.zeros((order, order))
    start = 0
    for row in range(order):
        length = order - row
        matrix[row, row:] = packed[start : start + length]
        start += length
    upper = np.triu(matrix, 1)
    return matrix + upper.T
