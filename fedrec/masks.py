"""A task with masked reports: on the very grid of the plain ones, or on a coarser one that is cheaper to send."""

from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.secagg.grid import largest_fraction_bits
from fedrec_protocol.secure_aggregation import SecureAggregation, smallest_modulus

_WIDEST_VALUE = 62
_USUAL_FLOOR = 32
_PHASE_SECONDS = 120.0


def with_masks(manifest: TaskManifest, *, value_bits: int | None = None) -> TaskManifest:
    """The same task with secure aggregation, modulo the smallest power of 256 in which no sum can wrap.

    Args:
        manifest: The plain task.
        value_bits: Bits of one participant's coordinate; None takes enough for the plain task's grid, or for steps of
            one where reports are whole numbers, and the models are the same, bit for bit. With 16, and up to 255
            participants, a coordinate takes 24 bits of upload: state a tight `maximum_norm`, for the grid's step is
            about that divided by 2**15.

    Raises:
        ValueError: the cohort is too small to hide in, or the grid too fine for a 64-bit modulus.
    """
    cohort = manifest.rounds.cohort_size
    if value_bits is None:
        value_bits = next(bits for bits in range(8, _WIDEST_VALUE + 1) if _fits(manifest, bits))
    # Half of the cohort must stay, as in the plain task, but no fewer than hide each other.
    floor = max(min(_USUAL_FLOOR, cohort), manifest.rounds.minimum_reports)
    secure = SecureAggregation(
        modulus_bits=smallest_modulus(value_bits, cohort),
        value_bits=value_bits,
        minimum_cohort=floor,
        share_seconds=_PHASE_SECONDS,
        report_seconds=_PHASE_SECONDS,
        acknowledge_seconds=_PHASE_SECONDS,
        reveal_seconds=_PHASE_SECONDS,
    )
    return TaskManifest.model_validate(manifest.model_dump() | {"secure_aggregation": secure.model_dump()})


def _fits(manifest: TaskManifest, value_bits: int) -> bool:
    """Whether so many bits hold a report on a grid that loses nothing of what the plain task's keeps."""
    report = manifest.report
    finest = largest_fraction_bits(
        clipping_norm=report.maximum_norm, maximum_weight=report.maximum_weight, value_bits=value_bits
    )
    needed = min(manifest.fraction_bits, 0) if _is_whole(manifest) else manifest.fraction_bits
    return finest >= needed or value_bits == _WIDEST_VALUE


def _is_whole(manifest: TaskManifest) -> bool:
    """Whether reports, and what is added to them, are whole numbers."""
    return manifest.privacy is None and not any(spec.dtype.is_floating for spec in manifest.report_tensors)
