"""Reports under a mask: residues modulo 2**b, of whose sum modulo 2**64 b bits are right, as b <= 64."""

from dataclasses import dataclass

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
from services.aggregator.domain.opaque_reports import OpaqueLayout, OpaqueReport


@dataclass(frozen=True)
class MaskedFormat:
    """What the masked reports of one round look like."""

    grid: Grid
    layout: OpaqueLayout

    media_type = MASKED_MEDIA_TYPE
    needs_base = False

    @classmethod
    def of(cls, manifest: TaskManifest, kind: RoundKind) -> "MaskedFormat":
        """The format of a task's secure rounds of one kind."""
        grid = round_grid(manifest, kind)
        return cls(grid, OpaqueLayout(grid.coordinates))

    @property
    def maximum_body_bytes(self) -> int:
        """The only size that a body can have."""
        return self.grid.coordinates * self.grid.modulus_bits // 8

    def read(self, body: Body) -> OpaqueReport:
        """Take a body as it is: whatever is wrong with one cannot be seen.

        Raises:
            ReportRejected: a body of another length.
        """
        try:
            return OpaqueReport(unpack(memoryview(body), self.grid))
        except Rejected as error:
            raise ReportRejected(Slug.WRONG_SHAPE, str(error)) from error
