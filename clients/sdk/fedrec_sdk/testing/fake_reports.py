"""The fake's view of reports: read as strictly as the real aggregator does, and averaged."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedrec_protocol import codec
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
from fedrec_protocol.tensors import DType, Tensors
from fedrec_sdk.testing.refusal import Refused

NORM_TOLERANCE = 1e-6
"""Relative slack on the norm bound, as in the real aggregator."""


@dataclass(frozen=True)
class AcceptedReport:
    """A report that was counted."""

    client_id: str
    """Whose report it is."""
    values: Tensors
    """Model tensors, float64: statistics, or the delta (also where parameters were sent)."""
    examples: int
    """n_k as claimed."""
    weight: int
    """n_k, or one where all reports weigh the same."""
    evaluations: int
    """Evaluations behind the metrics."""
    sums: dict[str, float]
    """Sum of each metric over them."""
    is_clipped: bool = False
    """Whether the update was longer than the round's clipping norm, where that is adaptive."""


def read_report(
    client_id: str,
    body: bytes,
    manifest: TaskManifest,
    kind: RoundKind,
    base: Tensors,
    *,
    clipping_norm: float | None = None,
) -> AcceptedReport:
    """Check a body against the manifest, and the round's clipping norm where that is adaptive.

    Raises:
        Refused: with the slug that the real aggregator would answer.
    """
    is_evaluation = kind is RoundKind.EVALUATION
    try:
        for name in codec.tensor_names(body):
            if manifest.is_private(name):
                raise Refused(Slug.PRIVATE_TENSOR, f"tensor {name!r} is private to the device")
        tensors = codec.decode_exactly(body, manifest.body_tensors(is_evaluation=is_evaluation))
    except codec.TensorsRejected as error:
        raise Refused(error.slug, str(error)) from error
    values = {} if is_evaluation else _values(tensors, manifest, base)
    _check_norm(values, clipping_norm or manifest.wire_norm)
    clipped = int(tensors.get(CLIPPED_TENSOR, np.zeros(1))[0])
    if clipped not in {0, 1}:
        raise Refused(Slug.METRICS_OUT_OF_RANGE, "tensor 'fedrec.clipped' is neither 0 nor 1")
    examples = int(tensors[EXAMPLES_TENSOR][0])
    if not (0 if is_evaluation else 1) <= examples <= manifest.report.maximum_examples:
        raise Refused(Slug.EXAMPLES_OUT_OF_RANGE, f"fedrec.examples is {examples}")
    measured = tensors.get(METRICS_TENSOR, np.zeros(1)).astype(np.float64).tolist()
    if not all(math.isfinite(value) for value in measured) or (measured[0] == 0 and any(measured)):
        raise Refused(Slug.METRICS_OUT_OF_RANGE, "not possible sums over the evaluations")
    return AcceptedReport(
        client_id=client_id,
        values=values,
        examples=examples,
        weight=examples if manifest.report.weighting is Weighting.EXAMPLES else 1,
        evaluations=int(measured[0]),
        sums=dict(zip(manifest.metrics, measured[1:], strict=True)),
        is_clipped=clipped == 1,
    )


def next_clipping_norm(manifest: TaskManifest, norm: float | None, reports: Sequence[AcceptedReport]) -> float | None:
    """The norm of the round after one with these reports: as the real aggregator finds it, without its noise.

    C * exp(-eta * (unclipped - target)), Andrew et al. 2021, https://arxiv.org/abs/1905.03871.
    """
    clipping = manifest.adaptive_clipping
    if clipping is None or norm is None:
        return None
    clipped = sum(report.is_clipped for report in reports)
    unclipped = max(1 - clipped / manifest.rounds.aggregation_goal, 0.0)
    moved = norm * math.exp(-clipping.learning_rate * (unclipped - clipping.target_unclipped))
    return min(moved, manifest.report.maximum_norm)


def federated_average(base: Tensors, reports: Sequence[AcceptedReport]) -> Tensors:
    """FedAvg (McMahan et al. 2017, https://arxiv.org/abs/1602.05629): base plus the weighted mean delta."""
    total = sum(report.weight for report in reports)
    return {
        name: array + sum(report.weight * report.values[name] for report in reports) / total
        for name, array in base.items()
    }


def mean_metrics(metrics: tuple[str, ...], reports: Sequence[AcceptedReport]) -> dict[str, float]:
    """Means over all evaluations of a round; empty when there were none."""
    evaluations = sum(report.evaluations for report in reports)
    if evaluations == 0:
        return {}
    return {metric: sum(report.sums[metric] for report in reports) / evaluations for metric in metrics}


def _values(tensors: Tensors, manifest: TaskManifest, base: Tensors) -> Tensors:
    values = {}
    for spec in manifest.report_tensors:
        array = tensors[spec.name]
        wide = codec.as_float32(array, spec.dtype) if spec.dtype is DType.BF16 else array
        values[spec.name] = wide.astype(np.float64)
        if manifest.report.content is ReportContent.PARAMETERS:
            values[spec.name] = values[spec.name] - base[spec.name]
    return values


def _check_norm(values: Tensors, maximum: float) -> None:
    if not all(np.isfinite(array).all() for array in values.values()):
        raise Refused(Slug.NOT_FINITE, "a tensor holds NaN or an infinity")
    if math.sqrt(sum(float(np.square(array).sum()) for array in values.values())) > maximum * (1 + NORM_TOLERANCE):
        raise Refused(Slug.NORM_EXCEEDED, f"the L2 norm is larger than {maximum}")
