"""What a report holds, and the bounds that make an overflow of the sum impossible."""

from enum import StrEnum

from pydantic import PositiveFloat, PositiveInt

from fedrec_protocol.base import Message
from fedrec_protocol.tensors import TensorSpec

EXAMPLES_TENSOR = "fedrec.examples"
"""I64 [1]: the number of examples n_k that the report was trained on."""
METRICS_TENSOR = "fedrec.metrics"
"""F32 [1 + number of metrics]: evaluations made, then the sum of each metric over them."""
CLIPPED_TENSOR = "fedrec.clipped"
"""I8 [1]: whether the update was longer than the clipping norm, where the norm is adaptive."""


class ReportContent(StrEnum):
    """What the tensors of a report are."""

    DELTA = "delta"  # local parameters minus base parameters
    PARAMETERS = "parameters"  # local parameters; the server subtracts the base while folding
    STATISTICS = "statistics"  # sums over the participant's examples, e.g. a Gram matrix


class Weighting(StrEnum):
    """How much one report counts."""

    EXAMPLES = "examples"  # n_k, the number of examples
    UNIFORM = "uniform"  # one


class ReportFormat(Message):
    """What a report holds, and the bounds that make an overflow of the sum impossible."""

    content: ReportContent = ReportContent.DELTA
    """`delta`, `parameters` or `statistics`."""
    tensors: tuple[TensorSpec, ...] | None = None
    """The tensors of a report; null means the shared tensors as they are."""
    weighting: Weighting = Weighting.EXAMPLES
    """Weight of a report: its number of examples, or one."""
    maximum_examples: PositiveInt = 10_000
    """Largest number of examples one report may claim; the SDK caps its claim, the server refuses more."""
    maximum_norm: PositiveFloat = 100.0
    """L2 bound on all tensors of one report together (of the delta, for `parameters`); the SDK scales a
    longer update down to it, the server refuses it."""

    maximum_evaluations: PositiveInt = 1000
    """Largest number of evaluations one report may claim."""

    @property
    def maximum_weight(self) -> int:
        """Largest weight of one report."""
        return self.maximum_examples if self.weighting is Weighting.EXAMPLES else 1
