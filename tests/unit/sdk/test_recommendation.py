"""Recommendations and metrics on the device."""

import hashlib
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedrec_protocol import codec
from fedrec_recipes import catalogue
from fedrec_sdk import History, Participant, Recommendation, Rejected, Unavailable
from fedrec_sdk.evaluation import NOTHING_EVALUATED, Evaluation, evaluate_held_out
from fedrec_sdk.recommendation import top_k
from fedrec_sdk.store.versions import ModelVersion
from fedrec_sdk.testing import FakeAggregator
from tests.unit.sdk.conftest import Join, StartTask
from tests.unit.sdk.popularity import Popularity

SHARES = {"share": np.array([0.0, 0.5, 0.25, 0.75, 0.125, 1.0])}


@pytest.fixture
def ada(start_task: StartTask, join: Join) -> Participant:
    """Somebody with a model and a history: 5, then 3."""
    aggregator = start_task(SHARES)
    aggregator.promote(0)
    ada = join(aggregator, "ada", (5, 3))
    ada.refresh_model()
    aggregator.drop_requests(1_000_000)  # from here on there is no network
    return ada


def test_the_best_unseen_items_come_first(ada: Participant) -> None:
    assert ada.recommend(2) == [Recommendation(1, 0.5), Recommendation(2, 0.25)]


def test_a_version_that_is_not_on_this_device_is_not_replaced_by_another(ada: Participant) -> None:
    with pytest.raises(Unavailable, match="no version staging"):
        ada.recommend(2, version="staging")


def test_seen_items_may_be_recommended_again(ada: Participant) -> None:
    assert [item for item, _ in ada.recommend(3, exclude_seen=False)] == [5, 3, 1]


def test_items_can_be_excluded_and_allowed(ada: Participant) -> None:
    assert [item for item, _ in ada.recommend(9, exclude=[1, 99])] == [2, 4, 0]
    assert [item for item, _ in ada.recommend(9, allow=[0, 4, 5, 99])] == [4, 0]


def test_retired_items_are_not_recommended_although_they_are_allowed(start_task: StartTask, join: Join) -> None:
    aggregator = start_task(SHARES)
    aggregator.change_catalogue(capacity=6, add="abcdef", retire=["b", "f"])
    aggregator.promote(0)
    ada = join(aggregator, "ada", (3,))
    ada.refresh_model()
    ada.refresh_catalogue()
    assert [item for item, _ in ada.recommend(9)] == [2, 4, 0]
    assert [item for item, _ in ada.recommend(9, allow=[1, 2, 5, 0])] == [2, 0]


def test_a_version_from_before_the_recipe_was_changed_is_scored_by_its_own(
    start_task: StartTask, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    aggregator = start_task()
    older = Popularity.of(4)  # the task's has two items more
    weights = codec.encode({"share": np.array([0.1, 0.4, 0.2, 0.3], np.float32)})
    digest = hashlib.sha256(weights).hexdigest()
    monkeypatch.setitem(catalogue._RECIPES, Popularity.name, Popularity)
    ada = join(aggregator, "ada", (3,), recipe=None)
    ada.store.models.folder.mkdir()
    (ada.store.models.folder / f"{digest}.safetensors").write_bytes(weights)
    version = ModelVersion("ver_old", "films", 0, digest, len(weights), older.choice)
    ada.store.versions.remember(version, "production")
    ada.store.versions.remember(replace(version, recipe=None))  # as an assignment describes it
    assert [item for item, _ in ada.recommend(9)] == [1, 2, 0]


def test_where_the_server_does_not_name_the_registry_the_last_assignment_did(start_task: StartTask, join: Join) -> None:
    aggregator = start_task(SHARES)
    ada = join(aggregator, "ada", (5, 3))
    ada.contribute()
    kept = json.loads(ada.store.values.get("task") or b"")
    ada.store.values.put("task", json.dumps(kept | {"registry_url": None}).encode())
    aggregator.promote(0)
    assert ada.refresh_model().number == 0


@given(
    st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, -math.inf, math.nan]), min_size=1, max_size=30),
    st.integers(0, 35),
    st.sets(st.integers(-2, 32)),
    st.none() | st.sets(st.integers(-2, 32)),
)
def test_the_top_k_are_those_of_a_plain_sort(
    scores: list[float], k: int, exclude: set[int], allow: set[int] | None
) -> None:
    eligible = [
        item
        for item, score in enumerate(scores)
        if score > -math.inf and item not in exclude and (allow is None or item in allow)
    ]
    expected = sorted(eligible, key=lambda item: (-scores[item], item))[:k]
    found = top_k(np.array(scores, np.float32), k, exclude=exclude, allow=allow)
    assert [item for item, _ in found] == expected


def test_metrics_on_the_device_are_those_of_full_ranking(ada: Participant) -> None:
    measured = ada.evaluate(k=1)  # item 3 among all but 5: first
    assert (measured.count, dict(measured.sums)) == (1, {"hr@1": 1.0, "ndcg@1": 1.0, "mrr@1": 1.0})
    assert measured.mean("hr@1") == 1.0


def test_metrics_rank_only_what_may_be_recommended() -> None:
    history = History(np.array([5, 1, 2]))

    def score(_: History) -> np.ndarray:
        return SHARES["share"].astype(np.float32)

    def of(ruled_out: list[int]) -> Evaluation:
        left_out = np.array(ruled_out, dtype=np.int64)
        return evaluate_held_out(score, history, 2, ("mrr",), seen=lambda known: known.items, ruled_out=left_out)

    assert dict(of([]).sums) == {"mrr": 1 / 2 + 1 / 2}  # item 3 is ahead of item 1, and then of item 2
    assert dict(of([3]).sums) == {"mrr": 1 + 1}
    assert (of([1]).count, dict(of([1]).sums)) == (1, {"mrr": 1 / 2})  # item 1 is not asked for
    assert of([1, 2]) == NOTHING_EVALUATED


def test_production_serves_by_default_although_a_newer_version_was_trained_on(
    start_task: StartTask, join: Join
) -> None:
    aggregator = start_task(SHARES)
    aggregator.promote(0)
    ada = join(aggregator, "ada", (0, 1, 2, 0))
    ada.contribute()
    ada.contribute()  # downloads version 1 to train from it
    newest = ada.recommend(1, exclude_seen=False)

    assert ada.refresh_model().number == 0
    assert ada.recommend(1, exclude_seen=False) == [Recommendation(5, 1.0)] != newest
    assert ada.recommend(1, exclude_seen=False, version=aggregator.versions[1].version_id) == newest


def test_an_alias_that_moved_is_followed(start_task: StartTask, join: Join) -> None:
    aggregator = start_task(SHARES)
    ada = join(aggregator, "ada", (0, 0, 0, 1))
    ada.contribute()
    aggregator.promote(0, "canary")
    ada.refresh_model("canary")
    aggregator.promote(1, "canary")
    assert ada.refresh_model("canary").number == 1
    assert ada.recommend(1, exclude_seen=False, version="canary") == [Recommendation(0, 1.0)]


def test_the_registry_may_be_elsewhere(start_task: StartTask, join: Join) -> None:
    aggregator, registry = start_task(), start_task()
    with pytest.raises(Rejected):  # this one does not know the other's tokens
        join(aggregator, "ada", registry_url=registry.url).refresh_model()
    assert {request.path for request in registry.requests} == {"/v1/models/films/aliases/production"}


def test_without_a_model_there_is_nothing_to_recommend_yet(aggregator: FakeAggregator, join: Join) -> None:
    with pytest.raises(Unavailable):
        join(aggregator, "ada", (0, 1)).recommend(3)


def test_an_unknown_alias_is_rejected(aggregator: FakeAggregator, join: Join) -> None:
    with pytest.raises(Rejected) as refused:
        join(aggregator, "ada").refresh_model("beta")
    assert refused.value.slug == "unknown-alias"
