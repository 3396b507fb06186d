"""Promotion, the gate, the way back and the log, through HTTP."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fedrec_protocol.messages import Role
from tests.integration.registry.support import Registry, weights

ALIAS = "/v1/models/films/aliases/production"


def publish_measured(films: Registry, seed: int, **metrics: float) -> str:
    version_id = str(films.publish("films", weights(seed))["version_id"])
    if metrics:
        body = {"metrics": metrics, "evaluated": 10}
        assert films.send("PUT", f"/v1/versions/{version_id}/metrics", json=body).status_code == 200
    return version_id


def promote(films: Registry, version_id: str, **request: Any) -> Any:
    return films.send("PUT", ALIAS, json={"version_id": version_id} | request)


def test_an_alias_names_the_version_that_was_promoted_last(films: Registry) -> None:
    first, second = publish_measured(films, 1), publish_measured(films, 2)
    assert films.send("GET", ALIAS).json()["slug"] == "unknown-alias"
    for version_id in (first, second):
        answer = promote(films, version_id)
        assert (answer.status_code, answer.json()["version"]["version_id"]) == (200, version_id)
    assert films.send("GET", ALIAS).json()["version"]["version_id"] == second
    assert films.send("GET", "/v1/models/films").json()["aliases"] == {"production": second}


def test_the_gate_compares_the_candidate_with_the_incumbent(films: Registry) -> None:
    incumbent, worse, better = (
        publish_measured(films, 1, ndcg=0.25),
        publish_measured(films, 2, ndcg=0.24),
        publish_measured(films, 3, ndcg=0.26),
    )
    gate = {"gate": {"metric": "ndcg", "minimum_improvement": 0.01}}
    assert promote(films, incumbent, **gate).status_code == 200
    refusal = promote(films, worse, **gate)
    assert (refusal.status_code, refusal.json()["slug"]) == (409, "gate-failed")
    assert "0.24" in refusal.json()["detail"]
    assert "0.25" in refusal.json()["detail"]
    assert films.send("GET", ALIAS).json()["version"]["version_id"] == incumbent
    assert promote(films, better, **gate).status_code == 200


def test_promoting_the_incumbent_again_changes_nothing(films: Registry) -> None:
    version_id = publish_measured(films, 1)
    first = promote(films, version_id).json()
    assert promote(films, version_id, gate={"metric": "never measured"}).json() == first
    assert len(films.send("GET", f"{ALIAS}/history").json()) == 1


def test_a_version_of_another_model_cannot_be_promoted(films: Registry) -> None:
    assert films.send("POST", "/v1/models", json={"name": "songs"}).status_code == 201
    version_id = films.publish("songs", weights(1))["version_id"]
    answer = promote(films, version_id)
    assert (answer.status_code, answer.json()["slug"]) == (404, "unknown-version")


def test_roll_back_returns_to_the_version_before_until_there_is_none(films: Registry) -> None:
    versions = [publish_measured(films, seed) for seed in range(3)]
    for version_id in versions:
        promote(films, version_id)
    for expected in (versions[1], versions[0]):
        answer = films.send("POST", f"{ALIAS}/rollback", json={"reason": "worse for new people"})
        assert (answer.status_code, answer.json()["version"]["version_id"]) == (200, expected)
    answer = films.send("POST", f"{ALIAS}/rollback", json={})
    assert (answer.status_code, answer.json()["slug"]) == (409, "nothing-to-roll-back")


def test_the_log_says_who_moved_an_alias_when_and_why(films: Registry) -> None:
    first, second = publish_measured(films, 1), publish_measured(films, 2)
    promote(films, first, reason="first release")
    promote(films, second, reason="better")
    films.send("POST", f"{ALIAS}/rollback", Role.ADMIN, json={"reason": "it was not"})
    moves = films.send("GET", f"{ALIAS}/history", Role.READ).json()
    fields = ("action", "from_version_id", "to_version_id", "operator", "reason")
    told = [tuple(move[field] for field in fields) for move in moves]
    assert told == [
        ("roll-back", second, first, "bootstrap", "it was not"),
        ("promote", first, second, "a run", "better"),
        ("promote", None, first, "a run", "first release"),
    ]
    older = films.send("GET", f"{ALIAS}/history?limit=1&before={moves[0]['number']}").json()
    assert older == [moves[1]]


def test_aliases_are_independent(films: Registry) -> None:
    first, second = publish_measured(films, 1), publish_measured(films, 2)
    promote(films, first)
    films.send("PUT", "/v1/models/films/aliases/canary", json={"version_id": second})
    assert films.send("GET", "/v1/models/films").json()["aliases"] == {"production": first, "canary": second}


def test_moves_at_the_same_time_leave_one_unbroken_log(films: Registry) -> None:
    versions = [publish_measured(films, seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert {answer.status_code for answer in pool.map(lambda each: promote(films, each), versions)} == {200}
    moves = films.send("GET", f"{ALIAS}/history").json()[::-1]
    assert moves[0]["from_version_id"] is None
    assert [move["from_version_id"] for move in moves[1:]] == [move["to_version_id"] for move in moves[:-1]]
    assert films.send("GET", ALIAS).json()["version"]["version_id"] == moves[-1]["to_version_id"]
