"""Reports under a mask: words that mean nothing by themselves, added modulo 2**64 like everything else."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.codec import Body
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import RoundKind
from fedrec_protocol.problems import Slug
from fedrec_protocol.secagg.errors import Rejected
from fedrec_protocol.secagg.grid import Grid
from fedrec_protocol.secagg.of_task import round_grid
from fedrec_protocol.secagg.packing import unpack
from fedrec_protocol.secure_messages import MASKED_MEDIA_TYPE
from services.aggregator.domain.errors import ReportRejected
from services.aggregator.domain.kernels import Accumulator


@dataclass(frozen=True)
class MaskedLayout:
    """The coordinates of a masked sum, in one piece: only their number is known before the masks are off."""

    size: int


@dataclass(frozen=True)
class MaskedReport:
    """A masked vector; it can be added up, and nothing else."""

    words: NDArray[Any]
    """Residues modulo 2**b, unsigned, shape (coordinates,)."""

    def fold(self, accumulator: Accumulator, *, sign: int = 1) -> None:
        """Add to a sum modulo 2**64, or with `sign=-1` take out again; b bits of it are right, as b <= 64."""
        add = np.add if sign > 0 else np.subtract
        total = accumulator.view(np.uint64)
        add(total, self.words, out=total)


@dataclass(frozen=True)
class MaskedFormat:
    """What the masked reports of one round look like."""

    grid: Grid
    layout: MaskedLayout

    media_type = MASKED_MEDIA_TYPE
    needs_base = False

    @classmethod
    def of(cls, manifest: TaskManifest, kind: RoundKind) -> "MaskedFormat":
        """The format of a task's secure rounds of one kind."""
        grid = round_grid(manifest, kind)
        return cls(grid, MaskedLayout(grid.coordinates))

    @property
    def maximum_body_bytes(self) -> int:
        """The only size that a body can have."""
        return self.grid.coordinates * self.grid.modulus_bits // 8

    def read(self, body: Body) -> MaskedReport:
        """Take a body as it is: whatever is wrong with one cannot be seen.

        Raises:
            ReportRejected: a body of another length.
        """
        try:
            return MaskedReport(unpack(memoryview(body), self.grid))
        except Rejected as error:
            raise ReportRejected(Slug.WRONG_SHAPE, str(error)) from error
