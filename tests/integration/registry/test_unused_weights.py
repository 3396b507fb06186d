"""Weights that nobody uses any more: their bytes go, what is known of the version stays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from fedrec_protocol import codec
from fedrec_protocol.messages import Role
from services.model_registry.housekeeping import sweep
from services.model_registry.storage import weights as stored_weights
from tests.integration.meanwhile import meanwhile
from tests.integration.registry.support import KeyServer, Registry, running, settings_for, weights


@pytest.fixture
def films(films: Registry) -> Registry:
    """At a time that is later than the database's clock, by which uploads are stamped."""
    films.clock.advance(timedelta(days=365 * 20))
    return films


def of_task(registry: Registry, seed: int, task: str = "tsk_1") -> dict[str, Any]:
    """The next version, out of a round of a task."""
    lineage = {"task_id": task, "round_id": f"rnd_{task}_{seed}", "round_number": seed}
    return registry.publish("films", weights(seed), lineage=lineage)


def download(registry: Registry, version: dict[str, Any], *, model: str = "films") -> Any:
    """By a participant of a task of a model."""
    path = f"/v1/versions/{version['version_id']}/weights"
    return registry.client.get(path, headers=registry.as_participant(model))


def promote(registry: Registry, version: dict[str, Any]) -> Any:
    body = {"version_id": version["version_id"]}
    return registry.send("PUT", "/v1/models/films/aliases/production", json=body)


def kept(registry: Registry) -> list[int]:
    """Numbers of the versions that have their weights."""
    sweep(registry.context)
    views = registry.send("GET", "/v1/models/films/versions", Role.READ).json()
    return [view["number"] for view in reversed(views) if view["has_weights"]]


def test_weights_that_nobody_downloaded_for_long_go_and_what_is_known_of_the_version_stays(films: Registry) -> None:
    old, newest = of_task(films, 1), of_task(films, 2)
    films.send("PUT", f"/v1/versions/{old['version_id']}/metrics", json={"metrics": {"hr@10": 0.5}, "evaluated": 9})
    assert kept(films) == [1]
    assert films.count("objects") == 1
    view = films.send("GET", f"/v1/versions/{old['version_id']}", Role.READ).json()
    assert view == old | {"has_weights": False, "metrics": {"hr@10": 0.5}, "evaluated": 9}
    refused = download(films, old)
    assert (refused.status_code, refused.json()["slug"]) == (410, "weights-deleted")
    assert download(films, newest).content == weights(2)


def test_participants_of_other_models_neither_learn_of_deleted_weights_nor_keep_any(films: Registry) -> None:
    old, _ = of_task(films, 1), of_task(films, 2)
    assert download(films, old, model="music").status_code == 404
    assert kept(films) == [1]
    refused = download(films, old, model="music")
    assert (refused.status_code, refused.json()["slug"]) == (404, "unknown-version")
    assert "films" not in refused.text


def test_a_download_counts_as_use_for_ninety_days(films: Registry) -> None:
    old, _ = of_task(films, 1), of_task(films, 2)
    assert download(films, old).status_code == 200
    films.clock.advance(timedelta(days=90))
    assert kept(films) == [0, 1]
    films.clock.advance(timedelta(days=1))
    assert kept(films) == [1]


def test_the_newest_version_of_each_task_stays(films: Registry) -> None:
    for seed, task in enumerate(["tsk_1", "tsk_1", "tsk_2", "tsk_2"]):
        of_task(films, seed, task)
    assert kept(films) == [1, 3]


def test_what_an_alias_names_or_has_named_stays_so_that_it_can_be_rolled_back(films: Registry) -> None:
    first, second, _, _ = (of_task(films, seed) for seed in range(4))
    assert promote(films, first).status_code == 200
    assert promote(films, second).status_code == 200
    assert kept(films) == [0, 1, 3]
    assert films.send("POST", "/v1/models/films/aliases/production/rollback", json={}).status_code == 200
    assert kept(films) == [0, 1, 3]


def test_weights_of_a_version_that_is_being_promoted_stay(films: Registry) -> None:
    old, _ = of_task(films, 1), of_task(films, 2)
    with films.context.db.engine.begin() as tx:
        assert stored_weights.hold(tx, old["digest"])
        assert kept(films) == [0, 1]
    assert kept(films) == [1]


def test_weights_that_another_version_needs_stay(films: Registry) -> None:
    of_task(films, 1)
    films.publish("films", weights(1), lineage={"task_id": "tsk_2"})
    assert kept(films) == [0, 1]


def test_deleted_weights_are_promoted_no_more_until_they_are_uploaded_again(films: Registry) -> None:
    old, _ = of_task(films, 1), of_task(films, 2)
    assert kept(films) == [1]
    assert promote(films, old).json()["slug"] == "weights-deleted"
    assert films.upload(weights(1)).status_code == 201
    assert download(films, old).content == weights(1)
    assert promote(films, old).status_code == 200
    assert kept(films) == [0, 1]


def test_a_compressed_copy_goes_with_its_file(films: Registry) -> None:
    films.publish("films", codec.encode({"items": np.zeros((1000, 100), np.float32)}), lineage={"task_id": "tsk_1"})
    of_task(films, 2)
    assert films.count("objects") == 2 + 1
    assert kept(films) == [1]
    assert films.count("objects") == 1


def test_an_operator_may_keep_all_weights_for_ever(database_url: str, key_server: KeyServer) -> None:
    with running(settings_for(database_url, key_server, unused_days=None), key_server) as registry:
        registry.send("POST", "/v1/models", json={"name": "films"})
        registry.clock.advance(timedelta(days=365 * 20))
        for seed in (1, 2):
            of_task(registry, seed)
        assert kept(registry) == [0, 1]


def test_a_download_that_comes_while_its_weights_are_deleted_is_told_so(films: Registry) -> None:
    old, _ = of_task(films, 1), of_task(films, 2)
    answers: list[Any] = []
    with meanwhile(films.context.db.engine, lambda: answers.append(download(films, old))) as tx:
        assert stored_weights.delete_unused(tx, films.context.home, used_before=films.clock.now().date()) == 1
    assert (answers[0].status_code, answers[0].json()["slug"]) == (410, "weights-deleted")
