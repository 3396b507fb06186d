"""What the registry takes in, and what it refuses."""

import hashlib
import itertools
import threading
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from fedrec_protocol import codec
from services.model_registry import housekeeping
from services.model_registry.api.context import Context
from services.model_registry.housekeeping import sweep
from tests.integration.registry.support import KeyServer, Registry, running, settings_for, weights


def test_weights_are_kept_once_however_often_they_are_uploaded(registry: Registry) -> None:
    answers = [registry.upload(weights(1)) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 200, 200]
    size = len(weights(1))
    assert (
        answers[0].json() == answers[2].json() == {"digest": hashlib.sha256(weights(1)).hexdigest(), "size_bytes": size}
    )
    assert (registry.count("weights"), registry.count("objects")) == (1, 1)


def test_weights_must_have_the_digest_of_their_address(refusing: Registry) -> None:
    headers = {"Content-Type": codec.MEDIA_TYPE}
    answer = refusing.send("PUT", f"/v1/weights/{'0' * 64}", content=weights(1), headers=headers)
    assert (answer.status_code, answer.json()["slug"]) == (400, "digest-mismatch")
    assert refusing.count("weights") == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"short",
        b"\xff" * 64,
        weights(1)[:-4],
        weights(1) + b"more",
        codec.encode({}),
        (8).to_bytes(8, "little") + b"not json",
    ],
)
def test_a_body_that_is_not_exactly_safetensors_is_refused(refusing: Registry, body: bytes) -> None:
    answer = refusing.upload(body)
    assert (answer.status_code, answer.json()["slug"]) == (422, "malformed-tensors")
    assert refusing.count("objects") == 0


def test_a_body_is_refused_unread_when_its_headers_are_wrong(refusing: Registry) -> None:
    body = weights(1)
    assert refusing.upload(body, **{"Content-Type": "application/json"}).json()["slug"] == "unsupported-media-type"
    assert refusing.upload(body, **{"Content-Encoding": "gzip"}).json()["slug"] == "unsupported-media-type"
    assert refusing.upload(body, **{"Content-Length": str(9 * 1024 * 1024)}).json()["slug"] == "body-too-large"
    path = f"/v1/weights/{hashlib.sha256(body).hexdigest()}"
    chunked = refusing.send("PUT", path, content=iter([body]), headers={"Content-Type": codec.MEDIA_TYPE})
    assert (chunked.status_code, chunked.json()["slug"]) == (411, "length-required")


def test_a_body_that_ends_early_or_runs_over_is_refused(refusing: Registry) -> None:
    body = weights(1)
    assert refusing.upload(body, **{"Content-Length": str(len(body) + 1)}).json()["slug"] == "body-incomplete"
    assert refusing.upload(body, **{"Content-Length": str(len(body) - 1)}).json()["slug"] == "body-too-large"


def test_only_weights_that_compress_well_are_kept_twice(registry: Registry) -> None:
    registry.upload(weights(1, elements=100_000))
    assert registry.count("objects") == 1  # random float32 values: zstd saves about 8%
    registry.upload(codec.encode({"items": np.zeros((1000, 100), np.float32)}))
    assert registry.count("objects") == 1 + 2


def test_weights_of_which_no_version_was_made_are_swept(films: Registry) -> None:
    published, unpublished = weights(1), codec.encode({"items": np.zeros((1000, 100), np.float32)})
    films.publish("films", published)
    films.upload(unpublished)
    films.clock.advance(timedelta(days=365 * 20) - timedelta(days=6))  # rows are stamped by the database's clock
    sweep(films.context)
    assert films.count("weights") == 1
    assert films.count("objects") == 1
    assert films.upload(unpublished).status_code == 201


def test_the_audit_log_is_kept_for_ever_or_for_as_long_as_the_operator_says(
    database_url: str, key_server: KeyServer
) -> None:
    for days, kept in ((None, True), (365.0, False)):
        with running(settings_for(database_url, key_server, audit_days=days), key_server) as registry:
            registry.clock.advance(timedelta(days=365 * 20))
            sweep(registry.context)
            assert (registry.count("audit_log") > 0) is kept


def test_fresh_weights_are_not_swept_before_their_version_is_made(films: Registry) -> None:
    films.upload(weights(1))
    sweep(films.context)
    assert films.publish("films", weights(1))["number"] == 0


def test_the_service_sweeps_by_itself(database_url: str, key_server: KeyServer) -> None:
    settings = settings_for(database_url, key_server, sweep_seconds=0.05, unpublished_days=1e-9)
    with running(settings, key_server) as registry:
        assert registry.upload(weights(1)).status_code == 201
        registry.clock.advance(timedelta(days=365 * 20))
        deadline = time.monotonic() + 120
        while registry.count("weights") > 0:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_sweep_that_fails_is_not_the_last_one(
    database_url: str, key_server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeps, is_repeated = itertools.count(1), threading.Event()

    def failing(_: Context) -> None:
        if next(sweeps) == 2:
            is_repeated.set()
        raise RuntimeError("for this test")

    monkeypatch.setattr(housekeeping, "sweep", failing)
    with running(settings_for(database_url, key_server, sweep_seconds=0.05), key_server):
        assert is_repeated.wait(60)


def test_a_folder_can_be_the_home_of_weights(database_url: str, key_server: KeyServer, tmp_path: Path) -> None:
    settings = settings_for(database_url, key_server, object_home=f"folder:{tmp_path / 'objects'}")
    with running(settings, key_server) as registry:
        registry.send("POST", "/v1/models", json={"name": "films"})
        version = registry.publish("films", weights(1))
        assert registry.send("GET", f"/v1/versions/{version['version_id']}/weights").content == weights(1)
        assert [path.read_bytes() for path in (tmp_path / "objects").iterdir()] == [weights(1)]
        assert registry.count("object_chunks") == 0


def test_a_home_of_objects_that_cannot_be_written_is_unavailable_and_nothing_is_kept(
    database_url: str, key_server: KeyServer, tmp_path: Path
) -> None:
    settings = settings_for(database_url, key_server, object_home=f"folder:{tmp_path / 'objects'}")
    with running(settings, key_server) as registry:
        (tmp_path / "objects").rmdir()
        answer = registry.upload(weights(1))
        assert (answer.status_code, answer.json()["slug"]) == (503, "unavailable")
        assert registry.count("weights") == 0
        (tmp_path / "objects").mkdir()
        assert registry.upload(weights(1)).status_code == 201
