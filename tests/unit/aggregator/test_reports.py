"""Reading a report: every single thing that can be wrong with one has its own slug."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fedrec_protocol import codec
from fedrec_protocol.messages import RoundKind
from fedrec_protocol.problems import Slug
from services.aggregator.domain.errors import ReportRejected
from services.aggregator.domain.reports import RoundFormat, read_report
from tests.unit.aggregator.manifests import manifest

TASK = manifest(metrics=["hr@10", "ndcg@10"], report={"maximum_norm": 10.0, "maximum_examples": 100})
TRAINING = RoundFormat.of(TASK, RoundKind.TRAINING)
EVALUATION = RoundFormat.of(TASK, RoundKind.EVALUATION)

Report = dict[str, NDArray[Any]]


def report(**changes: NDArray[Any] | None) -> Report:
    tensors: dict[str, NDArray[Any] | None] = {
        "items": np.array([[1, 2], [3, 4]], np.float32),
        "fedrec.examples": np.array([5], np.int64),
        "fedrec.metrics": np.array([2, 1, 0.5], np.float32),
    }
    tensors |= {name.replace("__", "."): value for name, value in changes.items()}
    return {name: value for name, value in tensors.items() if value is not None}


def f32(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def square(*values: float) -> NDArray[np.float32]:
    return f32(*values).reshape(2, 2)


def test_a_good_report_is_read_as_it_is() -> None:
    valid = read_report(codec.encode(report()), TRAINING)
    np.testing.assert_array_equal(valid.values["items"], [1, 2, 3, 4])
    assert valid.weight == 5
    np.testing.assert_array_equal(valid.metrics, [2, 1, 0.5])


WRONG: dict[str, tuple[Report, Slug]] = {
    "no model tensor": (report(items=None), Slug.MISSING_TENSOR),
    "no examples": (report(fedrec__examples=None), Slug.MISSING_TENSOR),
    "no metrics": (report(fedrec__metrics=None), Slug.MISSING_TENSOR),
    "another tensor": (report(more=f32(1)), Slug.UNEXPECTED_TENSOR),
    "a private tensor": (report(user_vector=f32(1)), Slug.PRIVATE_TENSOR),
    "a private tensor in place of a shared one": (report(items=None, user_items=f32(1)), Slug.PRIVATE_TENSOR),
    "transposed": (report(items=np.zeros((4, 1), np.float32)), Slug.WRONG_SHAPE),
    "examples as a scalar": (report(fedrec__examples=np.array(5)), Slug.WRONG_SHAPE),
    "too few metrics": (report(fedrec__metrics=f32(2, 1)), Slug.WRONG_SHAPE),
    "float64": (report(items=np.zeros((2, 2))), Slug.WRONG_DTYPE),
    "examples as a float": (report(fedrec__examples=f32(5)), Slug.WRONG_DTYPE),
    "NaN": (report(items=square(1, np.nan, 3, 4)), Slug.NOT_FINITE),
    "infinity": (report(items=square(1, 2, -np.inf, 4)), Slug.NOT_FINITE),
    "NaN in a metric": (report(fedrec__metrics=f32(2, np.nan, 0)), Slug.NOT_FINITE),
    "infinitely many evaluations": (report(fedrec__metrics=f32(np.inf, 0, 0)), Slug.NOT_FINITE),
    "too long": (report(items=square(6, 6, 6, 6)), Slug.NORM_EXCEEDED),
    "a hair too long": (report(items=square(10.0001, 0, 0, 0)), Slug.NORM_EXCEEDED),
    "as large as float32 goes": (report(items=square(3e38, 3e38, 3e38, 3e38)), Slug.NORM_EXCEEDED),
    "no example at all": (report(fedrec__examples=np.array([0])), Slug.EXAMPLES_OUT_OF_RANGE),
    "a negative number of examples": (report(fedrec__examples=np.array([-1])), Slug.EXAMPLES_OUT_OF_RANGE),
    "too many examples": (report(fedrec__examples=np.array([101])), Slug.EXAMPLES_OUT_OF_RANGE),
    "as many examples as fit": (report(fedrec__examples=np.array([2**63 - 1])), Slug.EXAMPLES_OUT_OF_RANGE),
    "half an evaluation": (report(fedrec__metrics=f32(1.5, 0, 0)), Slug.METRICS_OUT_OF_RANGE),
    "a negative number of evaluations": (report(fedrec__metrics=f32(-1, 0, 0)), Slug.METRICS_OUT_OF_RANGE),
    "too many evaluations": (report(fedrec__metrics=f32(2**20, 0, 0)), Slug.METRICS_OUT_OF_RANGE),
    "a metric out of range": (report(fedrec__metrics=f32(2, 2**20, 0)), Slug.METRICS_OUT_OF_RANGE),
    "metrics of no evaluation": (report(fedrec__metrics=f32(0, 1, 0)), Slug.METRICS_OUT_OF_RANGE),
}


@pytest.mark.parametrize(("tensors", "slug"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_report_is_refused_under_its_own_slug(tensors: Report, slug: Slug) -> None:
    with pytest.raises(ReportRejected) as refused:
        read_report(codec.encode(tensors), TRAINING)
    assert refused.value.slug is slug


def test_bytes_that_are_no_tensors_are_refused() -> None:
    with pytest.raises(ReportRejected) as refused:
        read_report(b"not tensors", TRAINING)
    assert refused.value.slug is Slug.MALFORMED_TENSORS


def test_the_norm_is_taken_over_all_tensors_together() -> None:
    two = manifest(shared=[{"name": "a", "shape": [1]}, {"name": "b", "shape": [1]}], report={"maximum_norm": 5.0})
    form = RoundFormat.of(two, RoundKind.TRAINING)
    examples = np.array([1])
    read_report(codec.encode({"a": f32(3), "b": f32(-4), "fedrec.examples": examples}), form)
    with pytest.raises(ReportRejected, match="norm"):
        read_report(codec.encode({"a": f32(3.01), "b": f32(-4), "fedrec.examples": examples}), form)


def test_a_client_that_clips_in_float32_is_not_refused_for_its_rounding() -> None:
    values = np.random.default_rng(1).normal(size=(2, 2)).astype(np.float32)
    clipped = values * np.float32(10.0 / np.linalg.norm(values)) * np.float32(1 + 5e-7)
    read_report(codec.encode(report(items=clipped)), TRAINING)


def test_an_evaluation_reports_metrics_and_no_tensor() -> None:
    valid = read_report(codec.encode(report(items=None, fedrec__examples=np.array([0]))), EVALUATION)
    assert valid.values == {}
    with pytest.raises(ReportRejected) as refused:
        read_report(codec.encode(report()), EVALUATION)
    assert refused.value.slug is Slug.UNEXPECTED_TENSOR


def test_a_uniform_report_weighs_one_whatever_its_examples() -> None:
    uniform = manifest(report={"weighting": "uniform"})
    body = codec.encode(report(fedrec__metrics=None))
    assert read_report(body, RoundFormat.of(uniform, RoundKind.TRAINING)).weight == 1


def bfloat16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    return (values.view(np.uint32) >> 16).astype(np.uint16)


BASES = {"F32": np.float32, "F64": np.float64, "F16": np.float16}
WIRES: dict[str, Callable[[NDArray[np.float32]], NDArray[Any]]] = {
    "F32": lambda values: values,
    "F64": lambda values: values.astype(np.float64),
    "F16": lambda values: values.astype(np.float16),
    "BF16": bfloat16,
}


@pytest.mark.parametrize("base_dtype", BASES)
@pytest.mark.parametrize("wire_dtype", WIRES)
def test_of_parameters_the_base_is_subtracted_whatever_the_two_element_types(base_dtype: str, wire_dtype: str) -> None:
    shared = {"name": "items", "shape": [2, 2]}
    task = manifest(
        shared=[shared | {"dtype": base_dtype}],
        report={"content": "parameters", "tensors": [shared | {"dtype": wire_dtype}]},
    )
    base = np.array([[0.5, 1.5], [-2.0, 8.0]], BASES[base_dtype])
    local = np.array([[1.0, 1.25], [-2.5, 10.0]], np.float32)
    body = codec.encode(
        {"items": WIRES[wire_dtype](local), "fedrec.examples": np.array([1])},
        bfloat16=frozenset({"items"} if wire_dtype == "BF16" else ()),
    )
    valid = read_report(body, RoundFormat.of(task, RoundKind.TRAINING), {"items": base})
    np.testing.assert_array_equal(valid.values["items"], [0.5, -0.25, -0.5, 2.0])


def test_parameters_that_are_not_finite_are_refused() -> None:
    form = RoundFormat.of(manifest(report={"content": "parameters"}), RoundKind.TRAINING)
    body = codec.encode(report(fedrec__metrics=None, items=square(np.inf, 3e38, np.nan, 0)))
    with pytest.raises(ReportRejected) as refused:
        read_report(body, form, {"items": square(np.inf, -3e38, 0, 0)})
    assert refused.value.slug is Slug.NOT_FINITE
