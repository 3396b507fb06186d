"""What is remembered of each round, and its table on disk."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from fedrec_protocol.messages import RoundKind, RoundState


@dataclass(frozen=True)
class RoundRecord:
    """One round of a simulation."""

    number: int
    """Number of the round, from 1."""
    kind: RoundKind
    """training or evaluation."""
    state: RoundState
    """published or abandoned."""
    version: int
    """Number of the newest version afterwards."""
    digest: str
    """SHA-256 of that version's weights file, in hexadecimal."""
    opened_at_seconds: float
    """When it opened, on the simulation's clock."""
    simulated_seconds: float
    """How long it collected, on the simulation's clock."""
    computing_seconds: float
    """How long it took to compute, on this machine's clock."""
    available: int
    """People who could have been asked."""
    cohort: int
    """People who were."""
    dropped: int
    """Of these, fell silent."""
    late: int
    """Of these, were too late."""
    reports: int
    """Reports counted."""
    weight: int
    """Their total weight."""
    bytes_down: int
    """Downloaded by the whole cohort, without headers of HTTP."""
    bytes_up: int
    """Uploaded in reports that were counted."""
    evaluated: int
    """Evaluations behind the metrics."""
    metrics: dict[str, float]
    """Means of the metrics, of the version that the round started from."""
    epsilon: float | None = None
    """User-level epsilon spent so far; None where nothing is accounted."""


def write_parquet(records: Iterable[RoundRecord], path: Path) -> None:
    """One row per round, one column per field and metric; needs pyarrow."""
    import pyarrow as pa  # noqa: PLC0415 - optional, and slow to import
    from pyarrow import parquet  # noqa: PLC0415 - as above

    rows = [_row(record) for record in records]
    names = dict.fromkeys(name for row in rows for name in row)
    parquet.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), path)


def _row(record: RoundRecord) -> dict[str, object]:
    row = {field.name: getattr(record, field.name) for field in fields(record) if field.name != "metrics"}
    return row | {"kind": str(record.kind), "state": str(record.state)} | record.metrics
