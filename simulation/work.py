"""What a cohort is asked to do in one round, and what comes back: one integer vector."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import RoundKind
from fedrec_protocol.tensors import Tensors
from services.aggregator.domain.kernels import Accumulator
from services.aggregator.domain.layout import Layout
from services.aggregator.domain.reports import RoundFormat, ValidReport, fold


@dataclass(frozen=True)
class RoundWork:
    """One round, as its cohort sees it."""

    manifest: TaskManifest
    kind: RoundKind
    number: int
    """Number of the round in its task, from 1."""
    base: Tensors
    """The version to train from, or to evaluate."""
    clipping_norm: float | None = None
    """L2 bound on a report where clipping is adaptive."""
    evaluations: dict[tuple[float, ...], ValidReport] = field(default_factory=dict, repr=False, compare=False)
    """Evaluations that were read before, by count and sums: with one held-out item there are few."""

    @cached_property
    def format(self) -> RoundFormat:
        """What its reports look like."""
        return RoundFormat.of(self.manifest, self.kind, self.clipping_norm)

    @property
    def layout(self) -> Layout:
        """The coordinates of its sum."""
        return self.format.layout


@dataclass(frozen=True)
class Contribution:
    """A report that counts, and what the device keeps."""

    report: ValidReport
    private: Tensors


@dataclass
class CohortSum:
    """The sum of the reports of some people, with what they keep. It changes in place, as it grows."""

    vector: Accumulator
    """int64, shape (layout.size,)."""
    reported: list[int] = field(default_factory=list)
    """Who reported."""
    private: dict[int, Tensors] = field(default_factory=dict)
    """New private tensors by person; only of those who reported."""

    @classmethod
    def empty(cls, work: RoundWork) -> "CohortSum":
        """Nobody has reported yet."""
        return cls(np.zeros(work.layout.size, np.int64))

    @property
    def report_count(self) -> int:
        """Reports in the sum."""
        return len(self.reported)

    def count(self, person: int, contribution: Contribution, layout: Layout) -> None:
        """Add one report."""
        fold(contribution.report, self.vector, layout)
        self.reported.append(person)
        if contribution.private:
            self.private[person] = contribution.private

    def merge(self, other: "CohortSum") -> None:
        """Add the reports of others: an integer addition, the same in any order and any grouping."""
        self.vector += other.vector
        self.reported += other.reported
        self.private |= other.private


PrivateTensors = Mapping[int, Tensors]
"""Private tensors by person; people who have none yet are missing."""
