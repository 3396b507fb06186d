"""A report that needs no bytes: what the server would read, made from what the device learnt.

Encoding a report and reading it again changes no element that already has the wire's type, and clipping changes
nothing that is shorter than the bound. Where both are certain, the values go to the sum as they are; everything
else takes the way over the bytes. Tests hold the two ways equal bit for bit.
"""

import math

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.manifest import ReportContent, TaskManifest, Weighting
from fedrec_protocol.tensors import DType
from fedrec_recipes.recipe import LocalResult
from services.aggregator.domain import kernels
from services.aggregator.domain.reports import ValidReport
from simulation.work import RoundWork

_CERTAINLY_SHORTER = 1.0 - 1e-9
"""Two float64 sums of the same squares, in any order, differ by far less than this."""

_CARRIED_AS_IS = {
    ReportContent.DELTA: {DType.F32},  # the device clips in float32
    ReportContent.STATISTICS: {DType.F32, DType.F64},
}


def direct_report(
    work: RoundWork, result: LocalResult, content: ReportContent, metrics: NDArray[np.float64]
) -> ValidReport | None:
    """The report as the server would read it; None where it has to go over the bytes to know.

    Args:
        work: The round.
        result: What came of local training.
        content: What the tensors of `result` are.
        metrics: What was measured, as the server reads it.
    """
    manifest = work.manifest
    if content is not manifest.report.content or content not in _CARRIED_AS_IS or manifest.popularity_floor:
        return None
    values = _values(manifest, result)
    if values is None:
        return None
    norm = math.sqrt(sum(kernels.squared_norm(array) for array in values.values()))
    bound = work.clipping_norm or manifest.report.maximum_norm
    if not norm <= bound * _CERTAINLY_SHORTER:  # also when it is NaN
        return None
    examples = min(result.examples, manifest.report.maximum_examples)
    return ValidReport(values, examples if manifest.report.weighting is Weighting.EXAMPLES else 1, metrics)


def _values(manifest: TaskManifest, result: LocalResult) -> dict[str, NDArray[np.float32] | NDArray[np.float64]] | None:
    specs = manifest.report_tensors
    if result.report.keys() != {spec.name for spec in specs}:
        return None
    for spec in specs:
        array = result.report[spec.name]
        if (
            spec.dtype not in _CARRIED_AS_IS[manifest.report.content]
            or array.dtype != spec.dtype.numpy
            or array.shape != spec.shape
        ):
            return None
    return {spec.name: result.report[spec.name].reshape(-1) for spec in specs}
