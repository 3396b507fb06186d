"""What advice is asked for."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from fedrec.data.choice import FOUND, ColumnChoice
from simulation.advice.candidates import LARGEST_TRANSFER_BYTES


class Privacy(StrEnum):
    """What protects a report."""

    PLAIN = "plain"  # the aggregator's process sees each report while it adds it
    SECAGG = "secagg"  # the aggregator learns sums only
    DP = "dp"  # noise on the sums: the published models say little of anybody


@dataclass(frozen=True)
class Wishes:
    """What only the operator can say."""

    data: Path
    columns: ColumnChoice = FOUND
    """Which column of the data is what."""
    name: str = "recommender"
    """Of the task and of its model."""
    minimum_support: int = 1
    """Items with fewer interactions are left out."""
    privacy: Privacy = Privacy.PLAIN
    epsilon: float = 8.0
    """What the whole task may spend on one person, with `dp`."""
    largest_bytes: int = LARGEST_TRANSFER_BYTES
    """What people's devices may have to transfer at once: a model, or a report."""
    seconds: float = 600.0
    """Time for trials, at most: few people and items take less."""
    seed: int = 0
