"""From what was learnt to the bytes that are sent: everything the server would refuse is refused here."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol import codec
from fedrec_protocol.manifest import CLIPPED_TENSOR, EXAMPLES_TENSOR, METRICS_TENSOR, ReportContent, TaskManifest
from fedrec_protocol.noise.local import local_bound_steps, locally_private
from fedrec_protocol.noise.random_bits import RandomBits
from fedrec_protocol.privacy import DistributedPrivacy, LocalPrivacy
from fedrec_protocol.problems import Slug
from fedrec_protocol.tensors import DType, Tensors, TensorSpec
from fedrec_recipes.recipe import LocalResult
from fedrec_sdk.clipping import clip_report, l2_norm
from fedrec_sdk.errors import rejected_here
from fedrec_sdk.evaluation import Evaluation
from fedrec_sdk.wire import from_wire, to_wire

_MOST_FITTINGS = 8
_MARGIN = 1.0 - 2.0**-20


def training_report(
    manifest: TaskManifest,
    result: LocalResult,
    content: ReportContent,
    base: Tensors,
    evaluation: Evaluation,
    *,
    clipping_norm: float | None = None,
    bits: RandomBits | None = None,
) -> bytes:
    """The body of a training report, in the manifest's order.

    Args:
        manifest: What was agreed.
        result: What came of local training.
        content: What the tensors of `result` are: deltas are turned into parameters, and parameters
            into deltas, as the manifest asks; statistics only go where statistics are asked for.
        base: Tensors of the base version.
        evaluation: What was measured of the base version.
        clipping_norm: The assignment's, where the task's clipping is adaptive.
        bits: Where local noise comes from; None leaves it out, for simulations that add it to the sum.

    Raises:
        Rejected: with the slug that the server would have answered: `private-tensor`,
            `unexpected-tensor`, `missing-tensor`, `wrong-shape`, `not-finite` or `norm-exceeded`.
    """
    specs = manifest.report_tensors
    _check_names(manifest, result.report)
    _check_values(specs, result.report)
    if manifest.report.content is ReportContent.STATISTICS:
        _require(content is ReportContent.STATISTICS, "the task asks for statistics, which this trainer does not make")
        wire = _statistics(manifest, result.report)
    else:
        _require(content is not ReportContent.STATISTICS, "the task asks for a model update, not for statistics")
        delta = _delta(manifest, result.report, content, base)
        if manifest.popularity_floor is not None:
            delta = manifest.popularity_floor.report(delta, base, manifest.rounds.aggregation_goal)
        bound = min(clipping_norm or manifest.report.maximum_norm, manifest.report.maximum_norm)
        wire = _update(manifest, delta, base, bound)
        if isinstance(manifest.privacy, LocalPrivacy) and bits is not None:
            wire = _with_local_noise(manifest, manifest.privacy, wire, bits)
        if manifest.adaptive_clipping is not None:
            wire[CLIPPED_TENSOR] = np.array([l2_norm(delta) > bound], dtype=np.int8)
    return _body(manifest, wire, result.examples, evaluation)


def evaluation_report(manifest: TaskManifest, evaluation: Evaluation) -> bytes:
    """The body of a report in an evaluation round: no model tensors, no examples."""
    return _body(manifest, {}, 0, evaluation)


def _body(manifest: TaskManifest, tensors: Tensors, examples: int, evaluation: Evaluation) -> bytes:
    claimed = min(examples, manifest.report.maximum_examples)
    if isinstance(manifest.privacy, DistributedPrivacy | LocalPrivacy):
        claimed = min(claimed, 1)  # their noise covers the model only: how many examples there are would be told
    body = {**tensors, EXAMPLES_TENSOR: np.array([claimed], dtype=np.int64)}
    if manifest.metrics:
        body[METRICS_TENSOR] = _metrics(manifest, evaluation)
    bfloat16 = frozenset(spec.name for spec in manifest.report_tensors if spec.dtype is DType.BF16)
    return codec.encode(body, bfloat16=bfloat16)


def _metrics(manifest: TaskManifest, evaluation: Evaluation) -> NDArray[np.float32]:
    """Evaluations and sums; where more were made than may be claimed, both shrink and the means stay."""
    if evaluation.count == 0:
        return np.zeros(1 + len(manifest.metrics), dtype=np.float32)
    claimed = min(evaluation.count, manifest.report.maximum_evaluations)
    sums = [evaluation.sums[metric] * claimed / evaluation.count for metric in manifest.metrics]
    if not np.isfinite(sums).all():
        raise rejected_here(Slug.NOT_FINITE, "a metric is NaN or an infinity")
    return np.array([claimed, *sums], dtype=np.float32)


def _statistics(manifest: TaskManifest, statistics: Tensors) -> dict[str, NDArray[Any]]:
    norm = l2_norm(statistics)
    if norm > manifest.report.maximum_norm:
        # Not scaled: half a Gram matrix is the Gram matrix of nobody. The recipe bounds what it counts.
        raise rejected_here(
            Slug.NORM_EXCEEDED,
            f"the statistics are longer than the manifest's maximum norm {manifest.report.maximum_norm}: "
            "bound the interactions per person in the recipe, or raise the norm",
        )
    try:
        return {spec.name: to_wire(statistics[spec.name], spec.dtype) for spec in manifest.report_tensors}
    except OverflowError as error:
        raise rejected_here(Slug.WRONG_DTYPE, str(error)) from error


def _delta(manifest: TaskManifest, values: Tensors, content: ReportContent, base: Tensors) -> Tensors:
    if content is ReportContent.DELTA:
        return values
    return {spec.name: values[spec.name] - base[spec.name] for spec in manifest.report_tensors}


def _update(manifest: TaskManifest, delta: Tensors, base: Tensors, norm: float) -> dict[str, NDArray[Any]]:
    """The delta within the norm, as the wire carries it.

    Rounding to a narrow element type, or adding the delta to large parameters, can lengthen a
    delta that was clipped to the bound exactly. So what the server will measure is measured here.
    """
    bound = norm
    for _ in range(_MOST_FITTINGS):
        clipped = clip_report(delta, bound)
        wire = {spec.name: _carried(manifest, clipped, base, spec) for spec in manifest.report_tensors}
        measured = l2_norm({spec.name: _received(manifest, wire, base, spec) for spec in manifest.report_tensors})
        if measured <= norm:
            return wire
        bound *= _MARGIN * norm / measured
    raise rejected_here(
        Slug.NORM_EXCEEDED, "the rounding of the report's element types alone is longer than the maximum norm"
    )


def _with_local_noise(
    manifest: TaskManifest, privacy: LocalPrivacy, wire: Tensors, bits: RandomBits
) -> dict[str, NDArray[Any]]:
    """The update on the round's integer grid with noise enough for itself; rounding to the wire comes after it."""
    specs, scale = manifest.report_tensors, 2.0**manifest.fraction_bits
    steps = np.concatenate([np.rint(wire[spec.name].astype(np.float64) * scale).reshape(-1) for spec in specs])
    bound = local_bound_steps(manifest.report.maximum_norm, scale, len(steps))
    noisy = locally_private(
        steps.astype(np.int64), bound_steps=bound, noise_multiplier=privacy.noise_multiplier, bits=bits
    )
    parts = np.split(noisy / scale, np.cumsum([spec.element_count for spec in specs])[:-1])
    return {
        spec.name: part.reshape(spec.shape).astype(spec.dtype.numpy) for spec, part in zip(specs, parts, strict=True)
    }


def _carried(manifest: TaskManifest, delta: Tensors, base: Tensors, spec: TensorSpec) -> NDArray[Any]:
    if manifest.report.content is ReportContent.DELTA:
        return to_wire(delta[spec.name], spec.dtype)
    return to_wire(base[spec.name].astype(np.float32) + delta[spec.name], spec.dtype)


def _received(manifest: TaskManifest, wire: Tensors, base: Tensors, spec: TensorSpec) -> NDArray[Any]:
    """The delta that the server will see."""
    values = from_wire(wire[spec.name], spec.dtype)
    return values if manifest.report.content is ReportContent.DELTA else values - base[spec.name].astype(np.float32)


def _check_names(manifest: TaskManifest, report: Tensors) -> None:
    wanted = {spec.name for spec in manifest.report_tensors}
    for name in report:
        if manifest.is_private(name):
            raise rejected_here(Slug.PRIVATE_TENSOR, f"tensor {name!r} is private and must not be in a report")
        if name not in wanted:
            raise rejected_here(Slug.UNEXPECTED_TENSOR, f"tensor {name!r} is not in the manifest")
    for name in wanted - report.keys():
        raise rejected_here(Slug.MISSING_TENSOR, f"tensor {name!r} is missing from the report")


def _check_values(specs: tuple[TensorSpec, ...], report: Tensors) -> None:
    for spec in specs:
        array = report[spec.name]
        if array.shape != spec.shape:
            raise rejected_here(
                Slug.WRONG_SHAPE, f"tensor {spec.name!r} has shape {list(array.shape)}, not {list(spec.shape)}"
            )
        if not np.isfinite(array).all():
            raise rejected_here(Slug.NOT_FINITE, f"tensor {spec.name!r} holds NaN or an infinity: training diverged")


def _require(is_met: bool, otherwise: str) -> None:
    if not is_met:
        raise rejected_here(Slug.INVALID_MANIFEST, otherwise)
