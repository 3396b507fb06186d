"""Where each tensor lies in the flat integer vector that a round is summed in.

    [ tensors of the report, flattened, in the manifest's order | metrics | clipped | weight ]

One vector, one addition: examples and metrics are folded, sealed, masked and merged with the tensors.
"""

from dataclasses import dataclass
from functools import cached_property

from fedrec_protocol import fixed_point
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import RoundKind
from fedrec_protocol.tensors import TensorSpec


@dataclass(frozen=True)
class Layout:
    """The coordinates of one kind of round of a task."""

    tensors: tuple[TensorSpec, ...]
    """Model tensors of a report; none in an evaluation."""
    metric_names: tuple[str, ...]
    """Metrics that are summed."""
    fraction_bits: int
    """A model coordinate holds sum(x * w) * 2**fraction_bits."""
    has_clip_count: bool = False
    """Whether reports that were clipped are counted."""

    @classmethod
    def of(cls, manifest: TaskManifest, kind: RoundKind) -> "Layout":
        """The layout of a task's rounds of one kind."""
        tensors = manifest.report_tensors if kind is RoundKind.TRAINING else ()
        has_clip_count = kind is RoundKind.TRAINING and manifest.adaptive_clipping is not None
        return cls(tensors, manifest.metrics, manifest.fraction_bits, has_clip_count)

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Coordinates of each model tensor."""
        found, start = {}, 0
        for spec in self.tensors:
            found[spec.name] = slice(start, start + spec.element_count)
            start += spec.element_count
        return found

    @cached_property
    def model_size(self) -> int:
        """Number of model coordinates."""
        return sum(spec.element_count for spec in self.tensors)

    @cached_property
    def metrics(self) -> slice:
        """Coordinates of [evaluations, sum of each metric], times 2**METRIC_FRACTION_BITS; may be empty."""
        return slice(self.model_size, self._metrics_end)

    @cached_property
    def clipped(self) -> slice:
        """The coordinate of the clipped reports' number, times 2**METRIC_FRACTION_BITS; may be empty."""
        return slice(self._metrics_end, self.weight)

    @cached_property
    def weight(self) -> int:
        """The coordinate that holds the total weight, a plain integer."""
        return self._metrics_end + int(self.has_clip_count)

    @cached_property
    def size(self) -> int:
        """Length of the vector."""
        return self.weight + 1

    @cached_property
    def _metrics_end(self) -> int:
        return self.model_size + (1 + len(self.metric_names) if self.metric_names else 0)

    @cached_property
    def scale(self) -> float:
        """What a model value is multiplied with: a power of two, so that it is exact in float64."""
        return float(2**self.fraction_bits)

    @cached_property
    def metric_scale(self) -> float:
        """What a metric is multiplied with."""
        return float(2**fixed_point.METRIC_FRACTION_BITS)
