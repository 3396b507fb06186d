"""Models, weights and versions through HTTP."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fedrec_protocol import codec
from fedrec_protocol.registry_messages import Lineage
from tests.integration.registry.support import Registry, weights


def test_a_version_says_where_it_comes_from_and_what_it_holds(films: Registry) -> None:
    body = codec.encode({"items": np.zeros((3, 2), np.float32), "bias": np.zeros(3, np.float16)})
    lineage = Lineage(
        task_id="tsk_1", round_id="rnd_7", round_number=7, recipe="mf", recipe_config={"factors": 2}, report_count=20
    )
    version = films.publish("films", body, lineage=lineage.model_dump())
    again = films.send("GET", f"/v1/versions/{version['version_id']}").json()
    assert again == version
    assert (version["model"], version["number"], version["parent_id"]) == ("films", 0, None)
    assert (version["digest"], version["size_bytes"]) == (hashlib.sha256(body).hexdigest(), len(body))
    tensors = [(tensor["name"], tensor["dtype"], tensor["shape"]) for tensor in version["tensors"]]
    assert tensors == [("items", "F32", [3, 2]), ("bias", "F16", [3])]
    assert version["lineage"] == lineage.model_dump()
    assert (version["metrics"], version["evaluated"]) == ({}, 0)


def test_a_combined_version_names_its_members_which_are_there(films: Registry) -> None:
    members = [films.publish("films", weights(seed))["version_id"] for seed in (1, 2)]
    combined = films.publish("films", weights(3), lineage={"members": members})
    assert combined["lineage"]["members"] == members
    body = {"digest": combined["digest"], "lineage": {"members": [*members, "ver_unknown"]}}
    answer = films.send("POST", "/v1/models/films/versions", json=body)
    assert (answer.status_code, answer.json()["slug"]) == (404, "unknown-version")


def test_publishing_a_round_again_answers_the_first_version(films: Registry) -> None:
    lineage = {"lineage": {"round_id": "rnd_1"}}
    first = films.publish("films", weights(1), **lineage)
    answer = films.send("POST", "/v1/models/films/versions", json={"digest": first["digest"]} | lineage)
    assert answer.status_code == 200
    assert answer.json() == first
    assert films.send("GET", "/v1/models/films").json()["versions"] == 1


def test_a_round_cannot_have_two_outcomes(films: Registry) -> None:
    lineage = {"lineage": {"round_id": "rnd_1"}}
    first = films.publish("films", weights(1), **lineage)
    other = films.upload(weights(2)).json()["digest"]
    answer = films.send("POST", "/v1/models/films/versions", json={"digest": other} | lineage)
    assert answer.status_code == 409
    assert answer.json()["slug"] == "version-conflict"
    assert first["digest"] in answer.json()["detail"]


def test_uploads_by_hand_have_no_round_and_never_conflict(films: Registry) -> None:
    assert [films.publish("films", weights(1))["number"] for _ in range(2)] == [0, 1]


def test_versions_are_numbered_without_gaps_whoever_publishes_at_once(films: Registry) -> None:
    digest = films.upload(weights(1)).json()["digest"]

    def publish(round_number: int) -> int:
        # Every round is published twice; only one of the two makes a version.
        request = {"digest": digest, "lineage": {"round_id": f"rnd_{round_number // 2}"}}
        return int(films.send("POST", "/v1/models/films/versions", json=request).status_code)

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(publish, range(24)))
    assert sorted(statuses) == [200] * 12 + [201] * 12
    listed = films.send("GET", "/v1/models/films/versions").json()
    assert [version["number"] for version in listed] == list(range(11, -1, -1))


def test_versions_are_listed_newest_first_and_by_pages(films: Registry) -> None:
    for seed in range(5):
        films.publish("films", weights(seed))
    pages = []
    before = ""
    while page := films.send("GET", f"/v1/models/films/versions?limit=2{before}").json():
        pages.append([version["number"] for version in page])
        before = f"&before={page[-1]['number']}"
    assert pages == [[4, 3], [2, 1], [0]]


def test_models_are_listed_by_name_and_by_pages(registry: Registry) -> None:
    for name in ("songs", "books", "films"):
        assert registry.send("POST", "/v1/models", json={"name": name, "description": f"All {name}"}).is_success
    first = registry.send("GET", "/v1/models?limit=2").json()
    assert [(model["name"], model["description"]) for model in first] == [
        ("books", "All books"),
        ("films", "All films"),
    ]
    assert [model["name"] for model in registry.send("GET", "/v1/models?after=films").json()] == ["songs"]


def test_a_model_is_made_once(refusing: Registry) -> None:
    answer = refusing.send("POST", "/v1/models", json={"name": "films"})
    assert (answer.status_code, answer.json()["slug"]) == (409, "model-exists")


def test_an_oversized_json_body_is_refused(refusing: Registry) -> None:
    body = b'{"name": "films", "description": "' + b"x" * 1_100_000 + b'"}'
    for content in (body, iter([body])):
        answer = refusing.send("POST", "/v1/models", content=content, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["slug"]) == (413, "body-too-large")


def test_a_version_needs_a_model_weights_and_a_parent_that_exist(films: Registry) -> None:
    digest = films.upload(weights(1)).json()["digest"]
    for model, request, slug in (
        ("songs", {"digest": digest}, "unknown-model"),
        ("films", {"digest": "0" * 64}, "unknown-weights"),
        ("films", {"digest": digest, "parent_id": "ver_none"}, "unknown-version"),
    ):
        answer = films.send("POST", f"/v1/models/{model}/versions", json=request)
        assert (answer.status_code, answer.json()["slug"]) == (404, slug)
    assert films.send("GET", "/v1/models/films").json()["versions"] == 0


def test_metrics_are_recorded_later_and_replaced_by_better_ones(films: Registry) -> None:
    version = films.publish("films", weights(1))
    path = f"/v1/versions/{version['version_id']}"
    for metrics, evaluated in (({"hr@10": 0.1}, 5), ({"hr@10": 0.2, "ndcg@10": 0.1}, 50), ({"hr@10": 0.3}, 60)):
        answer = films.send("PUT", f"{path}/metrics", json={"metrics": metrics, "evaluated": evaluated})
        assert answer.status_code == 200
        assert (answer.json()["metrics"], answer.json()["evaluated"]) == (metrics, evaluated)
    assert films.send("GET", path).json()["metrics"] == {"hr@10": 0.3}
    answer = films.send("PUT", "/v1/versions/ver_none/metrics", json={"metrics": {}, "evaluated": 0})
    assert answer.json()["slug"] == "unknown-version"


@pytest.mark.parametrize("path", ["/v1/models/none", "/v1/models/none/versions"])
def test_a_model_that_does_not_exist_is_unknown(refusing: Registry, path: str) -> None:
    answer = refusing.send("GET", path)
    assert (answer.status_code, answer.json()["slug"]) == (404, "unknown-model")


@pytest.mark.parametrize("path", ["/v1/models/%00", "/v1/models/..%2Fetc", "/v1/models/FILMS", "/v1/versions/a%20b"])
def test_a_malformed_name_is_refused_before_the_database_sees_it(refusing: Registry, path: str) -> None:
    assert refusing.send("GET", path).status_code in (404, 422)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[" * 50_000,
        b'{"digest": "\xff"}',
        b'{"digest": "' + b"0" * 64 + b'", "lineage": {"recipe_config": {"half": "\\ud800"}}}',
        b'{"digest": "' + b"0" * 64 + b'", "lineage": {"recipe_config": ' + b'{"a":' * 300 + b"1" + b"}" * 301 + b"}",
        b'{"digest": "' + b"0" * 64 + b'", "lineage": {"weight": ' + b"9" * 4000 + b"}}",
        b'{"digest": "' + b"0" * 64 + b'", "lineage": {"recipe_config": {"x": 1e999}}}',
        b'{"digest": "' + b"0" * 64 + b'", "\\ud800": 1}',
    ],
)
def test_json_that_cannot_be_kept_is_refused(refusing: Registry, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = refusing.send("POST", "/v1/models/films/versions", content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert answer.json()["slug"] == "invalid-request"
