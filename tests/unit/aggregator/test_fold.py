"""The sum of a round, against the same sum in exact arithmetic."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fedrec_protocol import codec
from fedrec_protocol.messages import RoundKind
from fedrec_protocol.tensors import DType
from services.aggregator.domain import kernels
from services.aggregator.domain.aggregation.rule import Totals
from services.aggregator.domain.layout import Layout
from services.aggregator.domain.partial_sum import PartialSum
from services.aggregator.domain.reports import RoundFormat, ValidReport, read_report
from tests.unit.aggregator.manifests import manifest

TASK = manifest(
    shared=[{"name": "items", "shape": [2, 3]}, {"name": "bias", "shape": [], "dtype": "F64"}],
    metrics=["hr@10"],
    report={"maximum_norm": 1000.0, "maximum_examples": 1000},
)
FORM = RoundFormat.of(TASK, RoundKind.TRAINING)


def exactly(value: float, weight: int, bits: int) -> int:
    """rint(value * weight * 2**bits) with the product rounded once to float64, in exact arithmetic."""
    scaled = Fraction(float(Fraction(value) * weight * 2**bits))
    floor = math.floor(scaled)
    rest = scaled - floor
    up = rest > Fraction(1, 2) or (rest == Fraction(1, 2) and floor % 2 == 1)
    return floor + int(up)


def body(rng: np.random.Generator, examples: int, hits: float) -> bytes:
    return codec.encode(
        {
            "items": rng.normal(scale=3.0, size=(2, 3)).astype(np.float32),
            "bias": np.array(rng.normal()),
            "fedrec.examples": np.array([examples]),
            "fedrec.metrics": np.array([4, hits], np.float32),
        }
    )


BODIES = [body(np.random.default_rng(seed), 1 + 37 * seed, seed / 8) for seed in range(12)]
REPORTS = [read_report(content, FORM) for content in BODIES]


def summed(reports: list[ValidReport]) -> PartialSum:
    partial = PartialSum("psm_1", "rnd_1", FORM.layout)
    for report in reports:
        partial.add(report)
    return partial


def test_the_sum_is_the_sum_in_exact_arithmetic() -> None:
    expected = [0] * FORM.layout.size
    for content in BODIES:
        tensors = codec.decode(content)
        weight = int(tensors["fedrec.examples"][0])
        values = [*tensors["items"].ravel().tolist(), float(tensors["bias"])]
        row = [exactly(value, weight, TASK.fraction_bits) for value in values]
        row += [exactly(value, 1, 20) for value in tensors["fedrec.metrics"].tolist()]
        expected = [total + term for total, term in zip(expected, [*row, weight], strict=True)]
    partial = summed(REPORTS)
    assert partial.vector.tolist() == expected
    assert partial.report_count == 12


def test_the_order_of_arrival_does_not_matter() -> None:
    shuffled = random.Random(5).sample(REPORTS, len(REPORTS))
    np.testing.assert_array_equal(summed(shuffled).vector, summed(REPORTS).vector)


def test_partial_sums_of_many_processes_add_up_to_the_same_bits() -> None:
    parts = [summed(REPORTS[start::3]).vector for start in range(3)]
    np.testing.assert_array_equal(parts[0] + parts[1] + parts[2], summed(REPORTS).vector)


def test_a_report_taken_out_again_leaves_no_trace() -> None:
    partial = summed(REPORTS[:5])
    before = partial.vector.copy()
    for report in REPORTS[5:]:
        partial.add(report)
    for report in REPORTS[5:]:
        partial.remove(report)
    np.testing.assert_array_equal(partial.vector, before)
    assert partial.report_count == 5


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=40), st.integers(1, 10_000), st.integers(24, 36))
@settings(max_examples=100, deadline=None)
def test_adding_is_exact_and_its_own_inverse(values: list[float], weight: int, bits: int) -> None:
    array = np.array(values)
    accumulator = np.zeros(len(values), np.int64)
    kernels.add(accumulator, array, weight * 2.0**bits)
    assert accumulator.tolist() == [exactly(value, weight, bits) for value in values]
    kernels.add(accumulator, array, -weight * 2.0**bits)
    assert not accumulator.any()


@pytest.mark.parametrize("dtype", [dtype for dtype in DType if dtype is not DType.BF16])
def test_every_element_type_is_folded_as_the_number_it_is(dtype: DType) -> None:
    values = [1, 2, 100, 7] if dtype is DType.U8 else [1, -2, 100, -7]
    fold_and_compare(dtype, np.array(values, dtype.numpy), values)


def test_bfloat16_is_folded_as_the_number_it_is() -> None:
    fold_and_compare(DType.BF16, np.array([0x3F80, 0xC020, 0x0000, 0x42C8], np.uint16), [1.0, -2.5, 0.0, 100.0])


def test_large_integers_are_not_squeezed_through_float32() -> None:
    fold_and_compare(DType.I64, np.array([2**24 + 1, 1, -(2**24) - 1, 0]), [2**24 + 1, 1, -(2**24) - 1, 0])


def fold_and_compare(dtype: DType, array: NDArray[Any], values: Sequence[float]) -> None:
    task = manifest(
        shared=[{"name": "items", "shape": [4]}],
        report={
            "content": "statistics",
            "tensors": [{"name": "gram", "shape": [4], "dtype": dtype}],
            "maximum_norm": 1e8,
            "weighting": "uniform",
        },
    )
    form = RoundFormat.of(task, RoundKind.TRAINING)
    content = codec.encode(
        {"gram": array, "fedrec.examples": np.array([1])},
        bfloat16=frozenset({"gram"} if dtype is DType.BF16 else ()),
    )
    partial = PartialSum("psm_1", "rnd_1", form.layout)
    partial.add(read_report(content, form))
    assert Totals(partial.vector, form.layout)["gram"].tolist() == values
    assert partial.vector[form.layout.weight] == 1


def test_the_vector_is_tensors_then_metrics_then_weight() -> None:
    layout = Layout.of(TASK, RoundKind.TRAINING)
    assert layout.slices == {"items": slice(0, 6), "bias": slice(6, 7)}
    assert (layout.metrics, layout.weight, layout.size) == (slice(7, 9), 9, 10)
    evaluation = Layout.of(TASK, RoundKind.EVALUATION)
    assert (evaluation.slices, evaluation.metrics, evaluation.size) == ({}, slice(0, 2), 3)
    plain = Layout.of(manifest(), RoundKind.TRAINING)
    assert (plain.metrics, plain.size) == (slice(4, 4), 5)


def test_the_largest_round_that_a_manifest_allows_does_not_overflow() -> None:
    task = manifest(
        shared=[{"name": "items", "shape": [1], "dtype": "F64"}],
        report={"maximum_norm": 1024.0, "maximum_examples": 1024},
        rounds={"aggregation_goal": 2**16},
    )
    assert task.fraction_bits == 24
    form = RoundFormat.of(task, RoundKind.TRAINING)
    for sign in (1, -1):
        content = codec.encode({"items": np.array([sign * 1024.0]), "fedrec.examples": np.array([1024])})
        one = PartialSum("psm_1", "rnd_1", form.layout)
        one.add(read_report(content, form))
        assert int(one.vector[0]) * task.rounds.maximum_reports == sign * 2 ** (10 + 10 + 18 + 24)
