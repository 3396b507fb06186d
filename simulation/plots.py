"""Plots of a simulation: each metric against rounds, against bytes and, where it is accounted, against epsilon."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from simulation.records import RoundRecord

_MEGABYTE = 1e6


@dataclass(frozen=True)
class _Axis:
    """What a metric is drawn against."""

    name: str
    label: str
    values: Callable[[Sequence[RoundRecord]], list[float | None]]
    """A position for each round's base version; None where there is none."""


def write_plots(records: Sequence[RoundRecord], folder: Path) -> list[Path]:
    """One PNG per axis, with a line per metric; nothing when nothing was measured. Needs matplotlib."""
    measured = any(record.metrics for record in records)
    drawn = [axis for axis in _AXES if any(value is not None for value in axis.values(records))]
    return [_draw(axis, records, folder / f"metrics-by-{axis.name}.png") for axis in drawn] if measured else []


def _draw(axis: _Axis, records: Sequence[RoundRecord], path: Path) -> Path:
    from matplotlib.figure import Figure  # noqa: PLC0415 - optional, and slow to import

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    plot = figure.subplots()
    positions = axis.values(records)
    for metric in dict.fromkeys(name for record in records for name in record.metrics):
        points = [
            (position, record.metrics[metric])
            for position, record in zip(positions, records, strict=True)
            if position is not None and metric in record.metrics
        ]
        plot.plot(*zip(*points, strict=True), marker=".", label=metric)
    plot.set_xlabel(axis.label)
    plot.set_ylabel("mean over validation items")
    plot.set_ylim(bottom=0)
    plot.grid(alpha=0.3)
    plot.legend()
    figure.savefig(path, dpi=120)
    return path


def _versions(records: Sequence[RoundRecord]) -> list[float | None]:
    """Training rounds behind each round's base version: its metrics are of that version, not of what it made."""
    return [0.0, *(float(record.version) for record in records[:-1])]


def _megabytes(records: Sequence[RoundRecord]) -> list[float | None]:
    """Bytes up and down that went into each round's base version."""
    spent, before = 0.0, []
    for record in records:
        before.append(spent)
        spent += (record.bytes_up + record.bytes_down) / _MEGABYTE
    return [*before]


def _epsilon(records: Sequence[RoundRecord]) -> list[float | None]:
    """Epsilon spent on each round's base version."""
    return [None, *(record.epsilon for record in records[:-1])]


_AXES = (
    _Axis("rounds", "training rounds", _versions),
    _Axis("megabytes", "megabytes up and down, all participants", _megabytes),
    _Axis("epsilon", "ε (user level)", _epsilon),
)
