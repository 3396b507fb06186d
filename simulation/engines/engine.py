"""What every engine is."""

from collections.abc import Sequence
from typing import Protocol

from simulation.work import CohortSum, PrivateTensors, RoundWork


class Engine(Protocol):
    """Computes the reports of a cohort. All engines give the same sum, bit for bit."""

    def contribute(self, work: RoundWork, people: Sequence[int], privates: PrivateTensors) -> CohortSum:
        """The sum of the reports of these people, each computed from the base version and its own data."""
        ...

    def close(self) -> None:
        """Let go of processes and memory."""
        ...
