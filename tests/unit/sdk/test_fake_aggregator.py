"""The fake refuses what the real aggregator refuses, with the same slugs."""

import math
from typing import Any

import numpy as np
import pytest

from fedrec_protocol import codec
from fedrec_protocol.codec import MEDIA_TYPE
from fedrec_protocol.digest import content_digest
from fedrec_protocol.manifest import ReportFormat, RoundPolicy, StopCriteria, Weighting
from fedrec_protocol.messages import AssignmentState, AssignmentView
from fedrec_protocol.popularity_floor import PopularityFloor
from fedrec_protocol.privacy import AdaptiveClipping, CentralPrivacy
from fedrec_protocol.tensors import TensorSpec
from fedrec_sdk import Contributed, NotSelected, Participant, Rejected, Transport, Unavailable
from fedrec_sdk.testing import FakeAggregator
from fedrec_sdk.testing.fake_reports import AcceptedReport
from tests.unit.sdk.conftest import Join, StartTask, popularity_manifest
from tests.unit.sdk.popularity import ITEMS

GOOD: dict[str, Any] = {
    "share": np.zeros(ITEMS, np.float32),
    "fedrec.examples": np.ones(1, np.int64),
    "fedrec.metrics": np.zeros(3, np.float32),
}


class Client:
    """Plain HTTP with an open assignment, as somebody without the SDK would speak it."""

    def __init__(self, aggregator: FakeAggregator, participant: Participant, transport: Transport) -> None:
        identity = participant._credentials.identity()
        self.url, self.token, self.transport = aggregator.url, identity.token, transport
        self.send("POST", "/v1/check-ins", b"{}")
        self.assignment = f"/v1/assignments/asg_1_{identity.client_id}"

    def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
        sent = {
            "Authorization": f"Bearer {self.token}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return self.transport.send(method, self.url + path, headers=sent, body=body).body

    def report(self, body: bytes, **headers: str) -> None:
        defaults = {"Content_Type": MEDIA_TYPE, "Content_Digest": content_digest(body)}
        self.send("POST", f"{self.assignment}/report", body, **(defaults | headers))


@pytest.fixture
def client(aggregator: FakeAggregator, ada: Participant, transport: Transport) -> Client:
    return Client(aggregator, ada, transport)


@pytest.mark.parametrize(
    ("changed", "slug"),
    [
        ({"own_noise": np.zeros(1)}, "private-tensor"),
        ({"extra": np.zeros(1)}, "unexpected-tensor"),
        ({"share": np.zeros(ITEMS)}, "wrong-dtype"),
        ({"share": np.zeros(ITEMS + 1, np.float32)}, "wrong-shape"),
        ({"share": np.full(ITEMS, np.nan, np.float32)}, "not-finite"),
        ({"share": np.full(ITEMS, 10.0, np.float32)}, "norm-exceeded"),
        ({"fedrec.examples": np.zeros(1, np.int64)}, "examples-out-of-range"),
        ({"fedrec.metrics": np.array([0, 1, 0], np.float32)}, "metrics-out-of-range"),
    ],
)
def test_a_report_is_checked_against_the_manifest(client: Client, changed: dict[str, Any], slug: str) -> None:
    with pytest.raises(Rejected) as refused:
        client.report(codec.encode(GOOD | changed))
    assert (refused.value.slug, refused.value.problem.status) == (slug, 422)


@pytest.mark.parametrize(
    ("headers", "slug"),
    [
        ({"Content_Type": "application/octet-stream"}, "unsupported-media-type"),
        ({"Fedrec_Base_Version": "ver_9"}, "stale-base-version"),
        ({"Authorization": "Bearer nobody"}, "unauthenticated"),
    ],
)
def test_headers_are_checked(client: Client, headers: dict[str, str], slug: str) -> None:
    with pytest.raises(Rejected) as refused:
        client.report(codec.encode(GOOD), **headers)
    assert refused.value.slug == slug


def test_a_body_that_is_not_the_one_announced_may_be_sent_again(client: Client) -> None:
    with pytest.raises(Unavailable, match="digest-mismatch"):
        client.report(codec.encode(GOOD), Content_Digest=content_digest(b"another"))


def test_another_body_for_the_same_assignment_is_a_conflict(client: Client) -> None:
    client.report(codec.encode(GOOD))
    client.report(codec.encode(GOOD))
    with pytest.raises(Rejected) as refused:
        client.report(codec.encode(GOOD | {"share": np.ones(ITEMS, np.float32)}))
    assert refused.value.slug == "report-conflict"


def test_an_assignment_tells_what_became_of_it(client: Client, aggregator: FakeAggregator) -> None:
    def state() -> AssignmentState:
        return AssignmentView.model_validate_json(client.send("GET", client.assignment)).state

    assert state() is AssignmentState.OPEN
    aggregator.expire_assignments()
    assert state() is AssignmentState.EXPIRED


def test_a_round_below_its_minimum_is_abandoned(start_task: StartTask, join: Join) -> None:
    aggregator = start_task(rounds=RoundPolicy(aggregation_goal=3, minimum_reports=2))
    join(aggregator, "ada", (0, 1, 2)).contribute()
    aggregator.close_round()
    assert (len(aggregator.versions), len(aggregator.rounds)) == (1, 2)


def test_an_app_may_bring_its_own_aggregation_of_statistics(join: Join) -> None:
    def add(base: Any, reports: list[AcceptedReport]) -> dict[str, Any]:
        return {"share": base["share"] + sum(report.values["counts"] for report in reports)}

    manifest = popularity_manifest(
        report=ReportFormat(content="statistics", tensors=(TensorSpec(name="counts", dtype="I32", shape=(ITEMS,)),)),
        stop=StopCriteria(round_budget=1),
        metrics=(),
    )
    with FakeAggregator(manifest, aggregate=add) as aggregator:
        ada = join(aggregator, "ada", (0, 1, 2))
        with Transport() as transport:
            client = Client(aggregator, ada, transport)
            counts = np.array([3, 0, 1, 0, 0, 2], np.int32)
            client.report(codec.encode({"counts": counts, "fedrec.examples": np.ones(1, np.int64)}))
        assert aggregator.versions[1].tensors["share"].tolist() == [3, 0, 1, 0, 0, 2]


def test_rows_below_the_popularity_floor_stay_as_they_are(
    start_task: StartTask, join: Join, transport: Transport
) -> None:
    shared = (TensorSpec(name="share", shape=(ITEMS,)), TensorSpec(name="table", shape=(ITEMS, 2)))
    weights = {"share": np.eye(ITEMS, dtype=np.float32)[0], "table": np.zeros((ITEMS, 2), np.float32)}
    floor = PopularityFloor(share="share", tables=("table",), minimum_people=1)
    aggregator = start_task(weights, shared=shared, metrics=(), popularity_floor=floor)
    client = Client(aggregator, join(aggregator, "bo", (0, 1, 2)), transport)
    body = {"share": np.zeros(ITEMS, np.float32), "table": np.ones((ITEMS, 2), np.float32)}
    client.report(codec.encode({**body, "fedrec.examples": np.ones(1, np.int64)}))
    assert aggregator.versions[1].tensors["table"].tolist() == [[1, 1], *[[0, 0]] * (ITEMS - 1)]


def test_items_come_and_go_as_in_a_real_catalogue(aggregator: FakeAggregator, ada: Participant) -> None:
    with pytest.raises(Rejected) as refused:
        ada.refresh_catalogue()
    assert refused.value.slug == "unknown-catalogue"
    aggregator.change_catalogue(capacity=4, add=["a", "b", "c"], retire=["b"])
    assert ada.refresh_catalogue().recommendable == [0, 2]
    aggregator.change_catalogue(capacity=4, add=["d", "b"], retire=["a"])
    found = ada.refresh_catalogue()
    assert (found.item_ids, found.recommendable) == (("a", "b", "c", "d"), [1, 2, 3])
    with pytest.raises(ValueError, match="more items"):
        aggregator.change_catalogue(capacity=4, add=["e"])


def test_caps_on_participation_hold(start_task: StartTask, join: Join) -> None:
    often = start_task(rounds=RoundPolicy(aggregation_goal=1, maximum_participations=2))
    ada = join(often, "ada", (0, 1, 2))
    outcomes = [ada.contribute() for _ in range(3)]
    assert [type(outcome) for outcome in outcomes] == [Contributed, Contributed, NotSelected]
    assert isinstance(outcomes[2], NotSelected)
    assert outcomes[2].reason == "participation-cap"

    apart = start_task(rounds=RoundPolicy(aggregation_goal=1, minimum_separation=2))
    eve = join(apart, "eve", (0, 1, 2))
    assert isinstance(eve.contribute(), Contributed)
    turned_away = eve.contribute()
    assert isinstance(turned_away, NotSelected)
    assert turned_away.reason == "too-soon"


def test_a_paused_task_finishes_its_round_and_goes_on_when_it_is_resumed(
    aggregator: FakeAggregator, ada: Participant
) -> None:
    aggregator.pause()
    assert isinstance(ada.contribute(), Contributed)
    paused = ada.contribute()
    assert isinstance(paused, NotSelected)
    assert paused.reason == "task-paused"
    aggregator.resume()
    assert isinstance(ada.contribute(), Contributed)


def test_the_clipping_norm_follows_the_updates(start_task: StartTask, join: Join) -> None:
    clipping = AdaptiveClipping(initial_norm=1e-3, target_unclipped=0.5, learning_rate=0.2, count_noise=1.0)
    privacy = CentralPrivacy(
        noise_multiplier=1.0, budget_epsilon=50.0, target_delta=1e-5, metrics_noise_multiplier=1.0, clipping=clipping
    )
    aggregator = start_task(report=ReportFormat(maximum_norm=10.0, weighting=Weighting.UNIFORM), privacy=privacy)
    ada = join(aggregator, "ada", (0, 1, 2))
    ada.contribute()
    ada.contribute()
    first, second = (aggregator.rounds[number].reports[0] for number in (0, 1))
    assert first.is_clipped
    assert np.linalg.norm(first.values["share"]) <= 1e-3 * (1 + 1e-6)
    # Andrew et al. 2021: C * exp(-eta * (unclipped - target)), and nobody was unclipped.
    assert aggregator.rounds[1].clipping_norm == pytest.approx(1e-3 * math.exp(0.2 * 0.5))
    assert np.linalg.norm(second.values["share"]) > np.linalg.norm(first.values["share"])
