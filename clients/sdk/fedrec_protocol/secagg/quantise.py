"""One report as a vector of integers: clip, weight, round, and append the scalars."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol import fixed_point
from fedrec_protocol.secagg.grid import Grid
from fedrec_protocol.secagg.layout import Layout, Scalar

WEIGHT = "weight"
EXAMPLES = "examples"
EVALUATIONS = "evaluations"
CLIPPED = "clipped"
_NORM_SLACK = 2.0**-20
"""Relative margin for the float64 norm of a rounded vector; its error is below coordinates * 2**-53."""


@dataclass(frozen=True)
class ReportValues:
    """What one participant contributes, before it becomes integers."""

    update: NDArray[np.float32] | NDArray[np.float64]
    """The model's coordinates, unweighted and unclipped, shape (model_coordinates,)."""
    weight: int
    examples: int
    evaluations: int = 0
    metrics: tuple[float, ...] = ()
    """Sum of each metric over the evaluations."""
    was_clipped: bool | None = None
    """Whether the update was clipped before; None where it is clipped here."""


@dataclass(frozen=True)
class SummedReports:
    """What the server learns: the same fields, summed over the survivors."""

    update_steps: NDArray[np.int64]
    """Sum of the weighted updates in grid steps, shape (model_coordinates,)."""
    weight: int
    examples: int
    evaluations: int
    metrics: tuple[float, ...]
    clipped: int
    """Participants whose update was longer than the clipping norm."""


def report_layout(
    *, model_coordinates: int, value_bits: int, maximum_weight: int, maximum_examples: int, metrics: int
) -> Layout:
    """The layout of reports with so many metrics."""
    metric_bits = fixed_point.METRIC_FRACTION_BITS + math.ceil(math.log2(fixed_point.MAXIMUM_METRIC_SUM)) + 1
    scalars = [
        Scalar(WEIGHT, maximum_weight.bit_length()),
        Scalar(EXAMPLES, maximum_examples.bit_length()),
        Scalar(EVALUATIONS, maximum_examples.bit_length()),
        *(Scalar(metric_name(index), metric_bits) for index in range(metrics)),
        Scalar(CLIPPED, 1),
    ]
    return Layout(model_coordinates, tuple(scalars), value_bits)


def quantise(report: ReportValues, grid: Grid, layout: Layout) -> NDArray[np.int64]:
    """The report as integers of q bits, int64, shape (coordinates,).

    The model's part has an L2 norm of at most weight / maximum_weight * `grid.bound_steps`: rounding
    cannot carry it over the bound that a privacy claim rests on.

    Raises:
        ValueError: an update that is not finite, a weight out of range, a scalar that does not fit.
    """
    if not 0 <= report.weight <= grid.maximum_weight:
        raise ValueError(f"weight {report.weight} outside 0 to {grid.maximum_weight}")
    model, was_clipped = _clip_and_round(report.update, report.weight, grid)
    scale = 2.0**fixed_point.METRIC_FRACTION_BITS
    values = {
        WEIGHT: report.weight,
        EXAMPLES: report.examples,
        EVALUATIONS: report.evaluations,
        CLIPPED: int(was_clipped if report.was_clipped is None else report.was_clipped),
        **{metric_name(index): round(value * scale) for index, value in enumerate(report.metrics)},
    }
    return layout.join(model, values)


def dequantise_scalars(total: NDArray[np.int64], layout: Layout) -> SummedReports:
    """Read a sum of quantised reports; the model's part stays in grid steps, for noise is added there."""
    model, values = layout.split(total)
    scale = 2.0**fixed_point.METRIC_FRACTION_BITS
    metrics = tuple(values[scalar.name] / scale for scalar in layout.scalars if scalar.name.startswith("metric "))
    return SummedReports(model, values[WEIGHT], values[EXAMPLES], values[EVALUATIONS], metrics, values[CLIPPED])


def to_real(update_steps: NDArray[np.int64], grid: Grid) -> NDArray[np.float64]:
    """Grid steps as weighted real numbers, float64."""
    return np.ldexp(update_steps.astype(np.float64), -grid.fraction_bits)


def metric_name(index: int) -> str:
    """Name of the scalar that holds the sum of one of the metrics."""
    return f"metric {index}"


def _clip_and_round(
    update: NDArray[np.float32] | NDArray[np.float64], weight: int, grid: Grid
) -> tuple[NDArray[np.int64], bool]:
    values = update.astype(np.float64)
    norm = float(np.linalg.norm(values))
    if not math.isfinite(norm):
        raise ValueError("the update is not finite")
    was_clipped = norm > grid.clipping_norm
    steps_per_unit = math.ldexp(weight, grid.fraction_bits)
    factor = steps_per_unit * (grid.clipping_norm / norm if was_clipped else 1.0)
    rounded = np.rint(values * factor)
    bound = math.floor(grid.clipping_norm * steps_per_unit) * (1 - _NORM_SLACK)
    if np.linalg.norm(rounded) > bound:
        # Each of d roundings moves a coordinate by at most one half: leave that much room and round again.
        room = max(bound - math.sqrt(len(values)) / 2, 0.0)
        rounded = np.rint(values * (room / norm))
    return rounded.astype(np.int64), was_clipped
