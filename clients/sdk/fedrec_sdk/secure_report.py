"""From a report as it would be sent in the clear to the integers that are masked."""

import numpy as np
from numpy.typing import NDArray

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
from fedrec_protocol.noise.random_bits import RandomBits
from fedrec_protocol.problems import Slug
from fedrec_protocol.secagg.distributed_noise import noise_variance, with_own_noise
from fedrec_protocol.secagg.of_task import round_grid, round_layout
from fedrec_protocol.secagg.quantise import ReportValues, quantise
from fedrec_protocol.tensors import Tensors
from fedrec_sdk.errors import rejected_here
from fedrec_sdk.wire import from_wire


def masked_vector(
    manifest: TaskManifest, kind: RoundKind, body: bytes, base: Tensors, bits: RandomBits
) -> NDArray[np.int64]:
    """The report's integers, int64, shape (coordinates,): those that the server would fold of the plain body.

    Args:
        manifest: What was agreed.
        kind: What the round asks for.
        body: The plain report; it stays on this device.
        base: Tensors of the base version.
        bits: Where this participant's part of the noise comes from, if it has one.

    Raises:
        Rejected: a value that the agreed grid cannot hold.
    """
    tensors = codec.decode_exactly(body, manifest.body_tensors(is_evaluation=kind is RoundKind.EVALUATION))
    examples = int(tensors[EXAMPLES_TENSOR][0])
    evaluations, sums = _metrics(manifest, tensors)
    values = ReportValues(
        update=_update(manifest, kind, tensors, base),
        weight=examples if manifest.report.weighting is Weighting.EXAMPLES else 1,
        examples=examples,
        evaluations=evaluations,
        metrics=sums,
        # Counts have no noise under a mask: where no clip bit was agreed, it must not tell that the norm was reached.
        was_clipped=CLIPPED_TENSOR in tensors and bool(tensors[CLIPPED_TENSOR][0]),
    )
    try:
        vector = quantise(values, round_grid(manifest, kind), round_layout(manifest, kind))
    except ValueError as error:
        raise rejected_here(Slug.METRICS_OUT_OF_RANGE, f"the report does not fit the grid: {error}") from error
    variance = noise_variance(manifest, kind)
    if variance == 0:
        return vector
    return with_own_noise(vector, variance, round_layout(manifest, kind).model_coordinates, bits)


def _update(manifest: TaskManifest, kind: RoundKind, tensors: Tensors, base: Tensors) -> NDArray[np.float64]:
    """The model's coordinates in the manifest's order, as the server's fold would read them."""
    if kind is RoundKind.EVALUATION:
        return np.zeros(0)
    parts = []
    for spec in manifest.report_tensors:
        part = from_wire(tensors[spec.name], spec.dtype).reshape(-1)
        if manifest.report.content is ReportContent.PARAMETERS:
            part = part - base[spec.name].reshape(-1)
        parts.append(part.astype(np.float64))
    return np.concatenate(parts)


def _metrics(manifest: TaskManifest, tensors: Tensors) -> tuple[int, tuple[float, ...]]:
    """Evaluations and sums. Nobody can check them under a mask, so bounds that others rely on are kept here."""
    if not manifest.metrics:
        return 0, ()
    evaluations, *sums = (float(value) for value in tensors[METRICS_TENSOR])
    if manifest.privacy is not None and not all(0 <= value <= evaluations for value in sums):
        raise rejected_here(Slug.METRICS_OUT_OF_RANGE, "metrics of a private task lie between 0 and 1")
    return int(evaluations), tuple(sums)
