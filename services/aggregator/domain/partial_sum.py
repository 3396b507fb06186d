"""One process's sum of some reports of a round."""

from dataclasses import dataclass, field

import numpy as np

from services.aggregator.domain import kernels
from services.aggregator.domain.layout import Layout
from services.aggregator.domain.opaque_reports import OpaqueLayout, OpaqueReport
from services.aggregator.domain.reports import ValidReport, fold


@dataclass
class PartialSum:
    """A sum in memory. It changes in place: a copy would cost as much memory as the model.

    Attributes:
        id: Names the sum; a process that lost track of one starts another instead of guessing.
        vector: int64, shape (layout.size,), modulo 2**64.
        report_count: Reports in it.
        object_key: Where it was last made durable; None while it was not.
    """

    id: str
    round_id: str
    layout: Layout | OpaqueLayout
    report_count: int = 0
    object_key: str | None = None
    vector: kernels.Accumulator = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.vector = np.zeros(self.layout.size, np.int64)

    def add(self, report: ValidReport | OpaqueReport) -> None:
        """Count a report."""
        self._fold(report, sign=1)
        self.report_count += 1

    def remove(self, report: ValidReport | OpaqueReport) -> None:
        """Take a report out again; the vector is bit for bit what it was before."""
        self._fold(report, sign=-1)
        self.report_count -= 1

    def _fold(self, report: ValidReport | OpaqueReport, *, sign: int) -> None:
        if isinstance(report, OpaqueReport):
            report.fold(self.vector, sign=sign)
        elif isinstance(self.layout, Layout):
            fold(report, self.vector, self.layout, sign=sign)
        else:
            raise TypeError("a plain report does not go into an opaque sum")
