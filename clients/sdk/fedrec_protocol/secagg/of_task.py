"""The grid, the layout and the floor of a task's secure rounds: what both sides derive from the manifest."""

import math
from datetime import datetime, timedelta
from fractions import Fraction

from fedrec_protocol.homomorphic_encryption import HomomorphicEncryption
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import RoundKind
from fedrec_protocol.secagg.descriptor import COMPLETE_GRAPH_LIMIT, Deadlines, Ring, RoundDescriptor
from fedrec_protocol.secagg.distributed_noise import noise_variance
from fedrec_protocol.secagg.grid import Grid
from fedrec_protocol.secagg.layout import Layout
from fedrec_protocol.secagg.quantise import report_layout
from fedrec_protocol.secagg.ring_parameters import ring_parameters
from fedrec_protocol.secure_aggregation import SecureAggregation


class NotSecure(ValueError):
    """The task has no secure aggregation."""


def terms_of(manifest: TaskManifest) -> SecureAggregation:
    """What the manifest says of secure aggregation.

    Raises:
        NotSecure: nothing.
    """
    if manifest.secure_aggregation is None:
        raise NotSecure(f"task {manifest.name!r} has no secure aggregation")
    return manifest.secure_aggregation


def hidden_by(manifest: TaskManifest) -> SecureAggregation | HomomorphicEncryption:
    """What the manifest says of masks or of encryption: either way reports are integers of few bits.

    Raises:
        NotSecure: neither.
    """
    if manifest.opaque is None:
        raise NotSecure(f"task {manifest.name!r} has plain reports")
    return manifest.opaque


def minimum_survivors(manifest: TaskManifest) -> int:
    """U_min: the floor of the mask, or that of the rounds if it is higher."""
    return max(terms_of(manifest).minimum_cohort, manifest.rounds.minimum_reports)


def round_layout(manifest: TaskManifest, kind: RoundKind) -> Layout:
    """Where things are in the vectors of a task's rounds of one kind."""
    tensors = manifest.report_tensors if kind is RoundKind.TRAINING else ()
    return report_layout(
        model_coordinates=sum(spec.element_count for spec in tensors),
        value_bits=hidden_by(manifest).value_bits,
        maximum_weight=manifest.report.maximum_weight,
        maximum_examples=max(manifest.report.maximum_examples, manifest.report.maximum_evaluations),
        metrics=len(manifest.metrics),
    )


def round_grid(manifest: TaskManifest, kind: RoundKind) -> Grid:
    """The integer grid of a task's rounds of one kind; its step is that of the sum in the clear."""
    terms = hidden_by(manifest)
    return Grid(
        coordinates=round_layout(manifest, kind).coordinates,
        modulus_bits=terms.modulus_bits,
        value_bits=terms.value_bits,
        fraction_bits=manifest.fraction_bits,
        clipping_norm=manifest.report.maximum_norm,
        maximum_weight=manifest.report.maximum_weight,
    )


def round_ring(manifest: TaskManifest) -> Ring | None:
    """The graph of the task's cohorts; None for the complete one.

    Raises:
        ValueError: no ring gives the assurances that the manifest asks for.
    """
    cohort_size, terms = manifest.rounds.cohort_size, terms_of(manifest)
    if cohort_size <= COMPLETE_GRAPH_LIMIT:
        return None
    corrupt, dropouts = (Fraction(f"{share:.6f}") for share in (terms.corrupt_fraction, terms.dropout_fraction))
    return ring_parameters(cohort_size, corrupt=corrupt, dropouts=dropouts)


def round_deadlines(manifest: TaskManifest, opened_at: datetime) -> Deadlines:
    """When each phase of a round closes at the latest, in whole seconds."""
    terms = terms_of(manifest)
    lengths = (
        manifest.rounds.deadline_seconds,
        *(terms.share_seconds, terms.report_seconds, terms.acknowledge_seconds, terms.reveal_seconds),
    )
    ends, elapsed = [], timedelta(0)
    for seconds in lengths:
        elapsed += timedelta(seconds=seconds)
        ends.append(math.ceil((opened_at + elapsed).timestamp()))
    advertise, share, report, acknowledge, reveal = ends
    return Deadlines(advertise=advertise, share=share, report=report, acknowledge=acknowledge, reveal=reveal)


def round_descriptor(
    manifest: TaskManifest,
    kind: RoundKind,
    *,
    task_id: str,
    round_number: int,
    base_digest: str,
    nonce: bytes,
    deadlines: Deadlines,
) -> RoundDescriptor:
    """The descriptor that follows from the manifest, and no other: the server signs it, participants compare.

    Args:
        manifest: What was agreed.
        kind: What the round asks for.
        task_id: The task.
        round_number: Number of the round.
        base_digest: SHA-256 of the base version's weights, in hexadecimal.
        nonce: 32 fresh random bytes.
        deadlines: When each phase closes.
    """
    return RoundDescriptor(
        task_id=task_id,
        round_number=round_number,
        nonce=nonce,
        base_digest=bytes.fromhex(base_digest),
        grid=round_grid(manifest, kind),
        maximum_participants=manifest.rounds.cohort_size,
        minimum_survivors=minimum_survivors(manifest),
        ring=round_ring(manifest),
        deadlines=deadlines,
        noise_variance=noise_variance(manifest, kind),
    )
