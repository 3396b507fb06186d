"""From training to bytes: what the server would refuse is refused on the device, in the same words."""

from typing import Any

import numpy as np
import pytest
import torch

from fedrec_protocol import codec
from fedrec_protocol.manifest import ReportContent, ReportFormat, RoundPolicy, TaskManifest, Weighting
from fedrec_protocol.popularity_floor import PopularityFloor
from fedrec_protocol.privacy import DistributedPrivacy, LocalPrivacy
from fedrec_protocol.secure_aggregation import SecureAggregation
from fedrec_protocol.tensors import DType, TensorSpec
from fedrec_recipes.recipe import LocalResult
from fedrec_sdk import Evaluation, Rejected
from fedrec_sdk.clipping import l2_norm
from fedrec_sdk.evaluation import NOTHING_EVALUATED
from fedrec_sdk.report import evaluation_report, training_report
from fedrec_sdk.wire import to_wire
from tests.unit.sdk.conftest import popularity_manifest
from tests.unit.sdk.popularity import ITEMS

DELTA, PARAMETERS, STATISTICS = ReportContent.DELTA, ReportContent.PARAMETERS, ReportContent.STATISTICS
BASE = {"share": np.full(ITEMS, 2.0, np.float32)}
LEARNT = {"share": np.arange(ITEMS, dtype=np.float32)}


def manifest_of(**report: Any) -> TaskManifest:
    return popularity_manifest(report=ReportFormat(**{"maximum_norm": 100.0, **report}))


def report_of(manifest: TaskManifest, tensors: dict[str, Any], content: ReportContent = DELTA) -> dict[str, Any]:
    body = training_report(manifest, LocalResult(tensors, 3), content, BASE, NOTHING_EVALUATED)
    return codec.decode_exactly(body, manifest.body_tensors())


def refusal_of(manifest: TaskManifest, tensors: dict[str, Any], content: ReportContent = DELTA) -> str:
    with pytest.raises(Rejected) as refused:
        report_of(manifest, tensors, content)
    return refused.value.slug


def test_a_report_holds_the_delta_the_examples_and_the_sums_of_metrics() -> None:
    manifest = manifest_of()
    measured = Evaluation(2, {"hr@2": 1.0, "ndcg@2": 0.5})
    body = codec.decode(training_report(manifest, LocalResult(LEARNT, 3), DELTA, BASE, measured))
    assert body["share"].tolist() == [0, 1, 2, 3, 4, 5]
    assert body["fedrec.examples"].tolist() == [3]
    assert body["fedrec.metrics"].tolist() == [2.0, 1.0, 0.5]


def test_an_evaluation_report_holds_no_model() -> None:
    body = codec.decode(evaluation_report(manifest_of(), Evaluation(1, {"hr@2": 1.0, "ndcg@2": 1.0})))
    assert {name: array.tolist() for name, array in body.items()} == {
        "fedrec.examples": [0],
        "fedrec.metrics": [1.0, 1.0, 1.0],
    }


def test_who_evaluated_more_than_may_be_claimed_keeps_the_means() -> None:
    manifest = manifest_of(maximum_evaluations=10)
    body = codec.decode(evaluation_report(manifest, Evaluation(40, {"hr@2": 20.0, "ndcg@2": 40.0})))
    assert body["fedrec.metrics"].tolist() == [10.0, 5.0, 10.0]


def test_a_metric_that_is_no_number_is_not_sent() -> None:
    with pytest.raises(Rejected) as refused:
        evaluation_report(manifest_of(), Evaluation(1, {"hr@2": float("nan"), "ndcg@2": 0.0}))
    assert refused.value.slug == "not-finite"


@pytest.mark.parametrize("made", [DELTA, PARAMETERS])
@pytest.mark.parametrize("asked", [DELTA, PARAMETERS])
def test_deltas_and_parameters_turn_into_each_other(made: ReportContent, asked: ReportContent) -> None:
    values = {DELTA: LEARNT["share"], PARAMETERS: BASE["share"] + LEARNT["share"]}
    body = report_of(manifest_of(content=asked), {"share": values[made]}, made)
    assert body["share"].tolist() == values[asked].tolist()


def test_a_delta_longer_than_the_bound_is_scaled_down() -> None:
    body = report_of(manifest_of(maximum_norm=1.0), LEARNT)
    assert body["share"] == pytest.approx(np.arange(ITEMS) / np.sqrt(55.0))
    assert l2_norm({"share": body["share"]}) <= 1.0


@pytest.mark.parametrize(("asked", "length"), [(None, 5.0), (2.0, 2.0), (50.0, 5.0)])
def test_an_assignment_may_ask_for_less_than_the_manifests_norm_and_not_for_more(
    asked: float | None, length: float
) -> None:
    result = LocalResult(LEARNT, 3)
    body = training_report(manifest_of(maximum_norm=5.0), result, DELTA, BASE, NOTHING_EVALUATED, clipping_norm=asked)
    assert l2_norm({"share": codec.decode(body)["share"]}) == pytest.approx(length, rel=1e-6)


def test_rows_that_too_few_people_are_behind_stay_on_the_device() -> None:
    specs = (TensorSpec(name="people", shape=(ITEMS,)), TensorSpec(name="table", shape=(ITEMS, 2)))
    floor = PopularityFloor(share="people", tables=("table",), minimum_people=5)
    manifest = popularity_manifest(
        shared=specs, popularity_floor=floor, rounds=RoundPolicy(aggregation_goal=10), metrics=()
    )
    share = np.array([0.0, 0.49, 0.5, 0.51, 1.0, np.nan], np.float32)
    base = {"people": share, "table": np.zeros((ITEMS, 2), np.float32)}
    learnt = LocalResult({name: np.full_like(values, 0.25) for name, values in base.items()}, 1)
    body = codec.decode(training_report(manifest, learnt, DELTA, base, NOTHING_EVALUATED))
    assert body["table"].any(axis=1).tolist() == [False, False, True, True, True, False]


@pytest.mark.parametrize(
    "promised",
    [
        {
            "privacy": DistributedPrivacy(
                noise_multiplier=1.0, colluding_share=0.1, budget_epsilon=8.0, target_delta=1e-5
            ),
            "secure_aggregation": SecureAggregation(modulus_bits=40, value_bits=20, minimum_cohort=5),
        },
        {"privacy": LocalPrivacy(noise_multiplier=1.0, budget_epsilon=8.0, target_delta=1e-5)},
    ],
)
def test_where_the_device_adds_the_noise_it_does_not_tell_how_many_examples_it_has(promised: dict[str, Any]) -> None:
    manifest = popularity_manifest(
        metrics=(),
        report=ReportFormat(maximum_norm=10.0, weighting=Weighting.UNIFORM),
        rounds=RoundPolicy(aggregation_goal=6),
        **promised,
    )
    body = training_report(manifest, LocalResult(LEARNT, 317), DELTA, BASE, NOTHING_EVALUATED)
    assert codec.decode(body)["fedrec.examples"].tolist() == [1]


def test_parameters_are_clipped_by_their_distance_from_the_base() -> None:
    body = report_of(manifest_of(content=PARAMETERS, maximum_norm=1.0), LEARNT)
    assert body["share"] == pytest.approx(2.0 + np.arange(ITEMS) / np.sqrt(55.0))
    assert l2_norm({"share": body["share"] - BASE["share"]}) <= 1.0


@pytest.mark.parametrize("dtype", [DType.F16, DType.BF16])
def test_rounding_to_a_narrow_type_does_not_break_the_bound(dtype: DType) -> None:
    spec = TensorSpec(name="share", dtype=dtype, shape=(ITEMS,))
    body = report_of(manifest_of(tensors=(spec,), maximum_norm=1.0), LEARNT)
    sent = codec.as_float32(body["share"], dtype)
    assert sent == pytest.approx(np.arange(ITEMS) / np.sqrt(55.0), rel=0.02)
    assert l2_norm({"share": sent}) <= 1.0


def test_bfloat16_is_rounded_as_torch_rounds_it() -> None:
    values = np.random.default_rng(1).standard_normal(10_000).astype(np.float32)
    expected = torch.from_numpy(values).to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)
    assert to_wire(values, DType.BF16).tolist() == expected.tolist()


def statistics_manifest(dtype: DType = DType.I32, maximum_norm: float = 100.0) -> TaskManifest:
    tensors = (TensorSpec(name="gram", dtype=dtype, shape=(2, 2)),)
    return manifest_of(content=STATISTICS, tensors=tensors, maximum_norm=maximum_norm)


def test_statistics_are_sent_as_they_are() -> None:
    gram = np.array([[2, 1], [1, 3]])
    assert report_of(statistics_manifest(), {"gram": gram}, STATISTICS)["gram"].tolist() == gram.tolist()


def test_statistics_beyond_the_bound_are_refused_not_scaled() -> None:
    gram = {"gram": np.array([[100, 1], [1, 3]])}
    assert refusal_of(statistics_manifest(), gram, STATISTICS) == "norm-exceeded"


def test_a_statistic_that_its_integer_type_cannot_hold_is_refused() -> None:
    gram = {"gram": np.array([[300, 1], [1, 3]])}
    assert refusal_of(statistics_manifest(DType.I8, 1000.0), gram, STATISTICS) == "wrong-dtype"


@pytest.mark.parametrize(
    ("tensors", "slug"),
    [
        ({"share": LEARNT["share"], "own_noise": np.zeros(1)}, "private-tensor"),
        ({"share": LEARNT["share"], "other": np.zeros(1)}, "unexpected-tensor"),
        ({}, "missing-tensor"),
        ({"share": np.zeros(ITEMS + 1)}, "wrong-shape"),
        ({"share": np.array([0, 1, 2, 3, 4, np.nan])}, "not-finite"),
        ({"share": np.array([0, 1, 2, 3, 4, -np.inf])}, "not-finite"),
    ],
)
def test_what_the_server_would_refuse_is_not_sent(tensors: dict[str, Any], slug: str) -> None:
    assert refusal_of(manifest_of(), tensors) == slug


def test_a_trainer_that_makes_the_wrong_content_is_told_so() -> None:
    assert refusal_of(manifest_of(), LEARNT, STATISTICS) == "invalid-manifest"
    assert refusal_of(statistics_manifest(), {"gram": np.zeros((2, 2))}, DELTA) == "invalid-manifest"
