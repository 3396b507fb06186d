"""A report that skips the bytes is the one that the server would have read from them."""

import numpy as np
import pytest

from fedrec_protocol.manifest import ReportContent, ReportFormat, RoundPolicy, StopCriteria, TaskManifest, Weighting
from fedrec_protocol.messages import RoundKind
from fedrec_protocol.tensors import DType, TensorSpec
from fedrec_recipes.recipe import LocalResult
from fedrec_sdk.evaluation import Evaluation
from fedrec_sdk.report import training_report
from services.aggregator.domain.reports import fold, read_report
from simulation.contribution import evaluated
from simulation.direct_report import direct_report
from simulation.work import RoundWork

MEASURED = Evaluation(3, {"hr@10": 0.1 + 0.2})


def work(dtype: DType = DType.F32, **report: object) -> RoundWork:
    tensors = (TensorSpec(name="a", dtype=dtype, shape=(3, 4)), TensorSpec(name="b", dtype=dtype, shape=(2,)))
    manifest = TaskManifest(
        name="task",
        model="model",
        recipe={"name": "own"},
        shared=tensors,
        report=ReportFormat.model_validate({"maximum_norm": 10.0, **report}),
        metrics=("hr@10",),
        rounds=RoundPolicy(aggregation_goal=2),
        stop=StopCriteria(round_budget=1),
    )
    base = {spec.name: np.ones(spec.shape, np.float32) for spec in tensors}
    return RoundWork(manifest, RoundKind.TRAINING, 1, base)


def learnt(scale: float = 1.0, dtype: str = "f4", examples: int = 9) -> LocalResult:
    generator = np.random.default_rng(4)
    shapes = {"b": (2,), "a": (3, 4)}
    return LocalResult(
        {name: (scale * generator.normal(size=shape)).astype(dtype) for name, shape in shapes.items()}, examples
    )


@pytest.mark.parametrize("weighting", Weighting)
@pytest.mark.parametrize(
    ("content", "dtype"),
    [
        (ReportContent.DELTA, DType.F32),
        (ReportContent.STATISTICS, DType.F32),
        (ReportContent.STATISTICS, DType.F64),
    ],
)
def test_both_ways_add_the_same_integers(weighting: Weighting, content: ReportContent, dtype: DType) -> None:
    round_ = work(dtype, weighting=weighting, content=content, maximum_examples=5)
    result = learnt(dtype=dtype.numpy.str)

    direct = direct_report(round_, result, content, evaluated(round_, MEASURED).metrics)
    body = training_report(round_.manifest, result, content, round_.base, MEASURED)
    read = read_report(body, round_.format, round_.base)

    assert direct is not None
    sums = []
    for report in (direct, read):
        vector = np.zeros(round_.layout.size, np.int64)
        fold(report, vector, round_.layout)
        sums.append(vector)
    np.testing.assert_array_equal(sums[0], sums[1])
    assert sums[0].any()


@pytest.mark.parametrize(
    ("round_", "result"),
    [
        (work(), learnt(scale=100.0)),  # has to be clipped
        (work(), learnt(scale=np.nan)),
        (work(), learnt(dtype="f8")),  # has to be rounded
        (work(DType.F64), learnt(dtype="f8")),  # the device clips in float32
        (work(DType.BF16), learnt()),
        (work(content=ReportContent.PARAMETERS), learnt()),  # the base has to be added and subtracted
        (work(), LocalResult({"a": np.zeros((3, 4), np.float32)}, 1)),  # a tensor is missing
        (work(), LocalResult({"a": np.zeros((4, 3), np.float32), "b": np.zeros(2, np.float32)}, 1)),
    ],
    ids=["long", "nan", "wide", "float64", "bfloat16", "parameters", "missing", "misshapen"],
)
def test_what_the_device_would_change_or_refuse_goes_over_the_bytes(round_: RoundWork, result: LocalResult) -> None:
    assert direct_report(round_, result, ReportContent.DELTA, np.zeros(2)) is None
