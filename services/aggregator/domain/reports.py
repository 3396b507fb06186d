"""Reading a report: everything that can be wrong with one is found here, before it touches the sum."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol import codec, fixed_point
from fedrec_protocol.manifest import (
    CLIPPED_TENSOR,
    EXAMPLES_TENSOR,
    METRICS_TENSOR,
    ReportContent,
    TaskManifest,
    Weighting,
)
from fedrec_protocol.messages import RoundKind
from fedrec_protocol.problems import Slug
from fedrec_protocol.tensors import Tensors, TensorSpec
from services.aggregator.domain import kernels
from services.aggregator.domain.errors import ReportRejected
from services.aggregator.domain.layout import Layout

_LARGEST_METRIC = fixed_point.MAXIMUM_METRIC_SUM - 1

NORM_TOLERANCE = 1e-6
"""Relative slack on the norm bound, for clients that clip in float32."""


@dataclass(frozen=True)
class RoundFormat:
    """What the reports of one round look like."""

    manifest: TaskManifest
    kind: RoundKind
    layout: Layout
    maximum_norm: float
    """L2 bound on one report: the round's clipping norm."""

    media_type = codec.MEDIA_TYPE

    @classmethod
    def of(cls, manifest: TaskManifest, kind: RoundKind, clipping_norm: float | None = None) -> "RoundFormat":
        """The format of a task's rounds of one kind; of one round where its clipping norm is its own."""
        return cls(manifest, kind, Layout.of(manifest, kind), clipping_norm or manifest.wire_norm)

    @cached_property
    def body_tensors(self) -> tuple[TensorSpec, ...]:
        """All tensors of a body."""
        return self.manifest.body_tensors(is_evaluation=self.kind is RoundKind.EVALUATION)

    @cached_property
    def decoder(self) -> codec.ExactDecoder:
        """Reads bodies."""
        return codec.ExactDecoder(self.body_tensors)

    @cached_property
    def maximum_body_bytes(self) -> int:
        """Largest body worth reading."""
        return codec.maximum_size(self.body_tensors)

    @cached_property
    def needs_base(self) -> bool:
        """Whether the base parameters must be subtracted while folding."""
        return self.kind is RoundKind.TRAINING and self.manifest.report.content is ReportContent.PARAMETERS


@dataclass(frozen=True)
class ValidReport:
    """A report that may be folded."""

    values: dict[str, NDArray[np.float32] | NDArray[np.float64]]
    """Model tensors by name: flat; the delta, also where parameters were sent."""
    weight: int
    """n_k or one."""
    metrics: NDArray[np.float64]
    """Evaluations and the sum of each metric; empty where the task has none."""
    clipped: int = 0
    """1 if the update was clipped, where that is counted."""


def read_report(body: codec.Body, expected: RoundFormat, base: Tensors | None = None) -> ValidReport:
    """Check a body against the manifest.

    Args:
        body: The safetensors file.
        expected: What the round's reports look like.
        base: Base parameters, where `expected.needs_base`.

    Raises:
        ReportRejected: with the slug of the first thing that is wrong.
    """
    try:
        tensors = expected.decoder.decode(body)
    except codec.TensorsRejected as error:
        if error.slug is Slug.UNEXPECTED_TENSOR:
            _refuse_private(body, expected.manifest)
        raise ReportRejected(error.slug, str(error)) from error
    examples = int(tensors[EXAMPLES_TENSOR][0])
    metrics = _metrics(tensors.get(METRICS_TENSOR), expected.manifest)
    values = dict(_values(tensors, expected, base))
    _check_norm(values, expected.maximum_norm)
    clipped = _clipped(tensors.get(CLIPPED_TENSOR))
    return ValidReport(values, _weight(examples, expected), metrics, clipped)


def fold(report: ValidReport, accumulator: kernels.Accumulator, layout: Layout, *, sign: int = 1) -> None:
    """Add a report to the round's vector, or with `sign=-1` take it out again, exactly.

    Args:
        report: What `read_report` returned.
        accumulator: int64, shape (layout.size,); changed in place.
        layout: The round's coordinates.
        sign: 1 or -1.
    """
    for name, values in report.values.items():
        kernels.add(accumulator[layout.slices[name]], values, sign * report.weight * layout.scale)
    if report.metrics.size:
        kernels.add(accumulator[layout.metrics], report.metrics, sign * layout.metric_scale)
    accumulator[layout.clipped] += sign * (report.clipped << fixed_point.METRIC_FRACTION_BITS)
    accumulator[layout.weight] += sign * report.weight


def _refuse_private(body: codec.Body, manifest: TaskManifest) -> None:
    for name in codec.tensor_names(body):
        if manifest.is_private(name):
            raise ReportRejected(Slug.PRIVATE_TENSOR, f"tensor {name!r} is private to the device")


def _values(
    tensors: Tensors, expected: RoundFormat, base: Tensors | None
) -> Iterator[tuple[str, NDArray[np.float32] | NDArray[np.float64]]]:
    for spec in expected.layout.tensors:
        array = tensors[spec.name].reshape(-1)
        if spec.dtype.numpy.kind == "i" and spec.dtype.numpy.itemsize >= 4:
            wide: NDArray[np.float32] | NDArray[np.float64] = array.astype(np.float64)
        else:
            wide = array if array.dtype == np.float64 else codec.as_float32(array, spec.dtype)
        if expected.needs_base:
            if base is None:
                raise ValueError("this round's reports need the base parameters")
            with np.errstate(over="ignore", invalid="ignore"):  # the norm check finds what is not finite
                wide = wide - base[spec.name].reshape(-1)
        yield spec.name, wide


def _check_norm(values: dict[str, NDArray[np.float32] | NDArray[np.float64]], maximum: float) -> None:
    squared = 0.0
    for name, array in values.items():
        part = kernels.squared_norm(array)
        if not math.isfinite(part):
            raise ReportRejected(Slug.NOT_FINITE, f"tensor {name!r} holds NaN, an infinity, or a value too large")
        squared += part
    if math.sqrt(squared) > maximum * (1 + NORM_TOLERANCE):
        raise ReportRejected(
            Slug.NORM_EXCEEDED, f"the L2 norm is larger than {maximum}, the bound of this round: clip first"
        )


def _clipped(bit: NDArray[np.int8] | None) -> int:
    """The clip bit: anything else would count for more than the noise on the count hides."""
    if bit is not None and bit[0] not in {0, 1}:
        raise ReportRejected(Slug.METRICS_OUT_OF_RANGE, "tensor 'fedrec.clipped' is neither 0 nor 1")
    return 0 if bit is None else int(bit[0])


def _weight(examples: int, expected: RoundFormat) -> int:
    report = expected.manifest.report
    least = 1 if expected.kind is RoundKind.TRAINING else 0
    if not least <= examples <= report.maximum_examples:
        raise ReportRejected(
            Slug.EXAMPLES_OUT_OF_RANGE, f"fedrec.examples must be from {least} to {report.maximum_examples}"
        )
    return examples if report.weighting is Weighting.EXAMPLES else 1


def _metrics(sums: NDArray[np.float32] | None, manifest: TaskManifest) -> NDArray[np.float64]:
    if sums is None:
        return np.zeros(0)
    wide = sums.astype(np.float64)
    if not np.isfinite(wide).all():
        raise ReportRejected(Slug.NOT_FINITE, "tensor 'fedrec.metrics' holds NaN or an infinity")
    evaluations = wide[0]
    if not 0 <= evaluations <= manifest.report.maximum_evaluations or evaluations != int(evaluations):
        raise ReportRejected(
            Slug.METRICS_OUT_OF_RANGE,
            f"the number of evaluations is not a count of at most {manifest.report.maximum_evaluations}",
        )
    # The noise of a private task is scaled to metrics between 0 and 1; elsewhere an app's own may be any number.
    least, most = (0.0, evaluations) if manifest.privacy else (-_LARGEST_METRIC, _LARGEST_METRIC)
    if not (wide[1:] >= least).all() or not (wide[1:] <= most).all() or (evaluations == 0 and wide.any()):
        raise ReportRejected(Slug.METRICS_OUT_OF_RANGE, "a metric is not a possible sum over the evaluations")
    return wide
