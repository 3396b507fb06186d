"""What a disk knows of a single report, in every home of objects: nothing that the deployment key does not open."""

from __future__ import annotations

import itertools
import os
import re
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import text

from fedrec.local.migrate import upgrade
from fedrec.local.postgres import LocalPostgres
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.secagg.messages import Advert, Reveal
from fedrec_protocol.secagg.participant import Shared, load
from fedrec_sdk.session import Session
from services.aggregator.domain import sealing
from services.aggregator.storage import noise_vectors
from tests.integration.aggregator.cohort import Cohort, secure_task
from tests.integration.aggregator.deployment import Task, report_of
from tests.integration.aggregator.test_correlated_noise import COORDINATES, correlated, noise_of_round
from tests.integration.aggregator.world import World
from tests.integration.kit.s3 import moto_server

# A number that is unlikely anywhere else.
SECRET = 0.7071234345436096
SIZE = 64
ROUND_KEY = "SELECT wrapped_key FROM aggregator.rounds WHERE id = :round"


class Disk:
    """A deployment on a Postgres of its own, and with a home of objects, whose bytes can be read."""

    def __init__(self, directory: Path, postgres: LocalPostgres, home: str, bucket: str) -> None:
        self.directory = directory
        self.postgres = postgres
        self.world = World(postgres.url, object_home=home)
        self._bucket = bucket

    def holds(self, *patterns: bytes) -> list[str]:
        """Where any of these bytes are: tables, indexes, write-ahead log and objects, once everything is written."""
        with self.world.context.db.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("CHECKPOINT"))
        files = [path for path in self.directory.rglob("*") if path.is_file()]
        assert len(files) > 500
        contents = itertools.chain(((str(path), path.read_bytes()) for path in files), map(self._read, self._listed()))
        return [name for name, content in contents if any(pattern in content for pattern in patterns)]

    def objects(self) -> list[str]:
        """Objects outside Postgres."""
        return [path.name for path in (self.directory / "objects").glob("*")] + self._listed()

    def wrapped_key(self, round_id: str) -> bytes | None:
        with self.world.context.db.engine.connect() as connection:
            key: bytes | None = connection.execute(text(ROUND_KEY), {"round": round_id}).scalar_one()
            return key

    def _listed(self) -> list[str]:
        """Addresses of the objects in the bucket, where there is one."""
        if not self._bucket:
            return []
        listed = httpx.get(f"{self._bucket}?list-type=2", timeout=60, trust_env=False).raise_for_status().text
        return [f"{self._bucket}/{key}" for key in re.findall("<Key>(.*?)</Key>", listed)]

    def _read(self, url: str) -> tuple[str, bytes]:
        return url, httpx.get(url, timeout=60, trust_env=False).raise_for_status().content


@pytest.fixture(scope="module", params=["postgres", "folder", "s3"])
def disk(request: pytest.FixtureRequest) -> Iterator[Disk]:
    with tempfile.TemporaryDirectory(dir="/tmp") as path, object_home(request.param, Path(path)) as (home, bucket):
        Path(path).chmod(0o755)
        with LocalPostgres(Path(path) / "postgres") as postgres:
            upgrade(postgres.url)
            disk = Disk(Path(path), postgres, home, bucket)
            yield disk
            disk.world.stop()


@contextmanager
def object_home(kind: str, directory: Path) -> Iterator[tuple[str, str]]:
    """The setting of a home, and the address of its bucket if it has one."""
    if kind != "s3":
        yield kind if kind == "postgres" else f"folder:{directory / 'objects'}", ""
        return
    with moto_server() as port, pytest.MonkeyPatch.context() as environment:
        url = f"http://127.0.0.1:{port}"
        httpx.put(f"{url}/reports", timeout=60, trust_env=False).raise_for_status()
        settings = {"FEDREC_S3_ENDPOINT": url, "AWS_REGION": "us-east-1"}
        credentials = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "testing")
        for name, value in (settings | credentials).items():
            environment.setenv(name, value)
        yield "s3://reports/aggregator", f"{url}/reports"


def task_of(disk: Disk, **changes: object) -> Task:
    shared = [{"name": "items", "shape": [SIZE], "dtype": "F32"}]
    report = {"weighting": "uniform", "maximum_norm": 100.0}
    return disk.world.task(shared=shared, report=report, rounds={"aggregation_goal": 2}, **changes)


def patterns(task: Task) -> tuple[bytes, bytes]:
    """The same report as it is sent and as it is summed; a few numbers of it are enough to find it."""
    sent = np.full(4, SECRET, np.float32)
    bits = TaskManifest.model_validate(task.get()["manifest"]).fraction_bits
    summed = struct.pack("<q", round(float(sent[0]) * 2**bits))
    return sent.tobytes(), 4 * summed


def test_bytes_that_are_stored_as_they_are_would_be_found(disk: Disk) -> None:
    plain, context = os.urandom(1000), disk.world.context
    key = context.db.run("control", lambda tx: context.home.put(tx, [plain]))
    assert disk.holds(plain[500:532]) != []
    context.db.run("control", lambda tx: context.home.delete(tx, key))
    disk.world.worker.sweep()
    assert disk.objects() == []


def test_no_report_is_on_the_disk_in_the_clear_before_or_after_its_round(disk: Disk) -> None:
    task = task_of(disk)
    devices = task.devices(2)
    first = devices[0].assigned()["assignment_id"]
    secret = report_of(np.full(SIZE, SECRET))
    assert devices[0].report(first, secret).status_code == 201
    assert disk.holds(*patterns(task)) == []

    # The other report hides the first one in the sum that is published.
    other = np.random.default_rng(1).normal(size=SIZE)
    assert devices[1].report(devices[1].assigned()["assignment_id"], report_of(other)).status_code == 201
    disk.world.work()
    assert task.get()["rounds_published"] == 1
    assert disk.holds(*patterns(task)) == []


def test_neither_masked_reports_nor_secrets_nor_what_reveals_them_are_on_the_disk_in_the_clear(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[object] = []
    monkeypatch.setattr(Session, "report", recorded(Session.report, sent))
    monkeypatch.setattr(Session, "send_secure", recorded(Session.send_secure, sent))
    cohort = Cohort(secure_task(disk.world, 5), tmp_path, 5)
    cohort.wait(phases=2)
    pending = cohort.people[0].store.secure_rounds.pending()
    assert pending is not None
    assert pending.state is not None
    state = load(pending.state)
    assert isinstance(state, Shared)
    secrets = [pending.vector, state.secrets.seed, state.secrets.mask_private, state.secrets.share_private]
    cohort.wait(phases=2)
    secrets += [body[:32] for body in sent if isinstance(body, bytes)]
    cohort.step(without=[4])
    reveals = [message for message in sent if isinstance(message, Reveal)]
    secrets += [reveal.shares[1:33] for reveal in reveals]
    secrets += [reveal.model_dump(mode="json")["shares"][:40].encode() for reveal in reveals]
    assert len(secrets) == 4 + 5 + 2 * 4
    assert disk.holds(*secrets) == []
    [advert, *_] = [message for message in sent if isinstance(message, Advert)]
    assert disk.holds(advert.model_dump_json().encode()) != []  # what is public would be found
    cohort.finish(without=range(4))
    assert disk.holds(*secrets) == []
    cohort.close()


def recorded(call: Callable[..., Any], sent: list[object]) -> Callable[..., Any]:
    """The same, with what is sent kept."""

    def record(self: Session, assignment_id: str, second: object, third: object, **options: object) -> Any:
        sent.append(third)
        return call(self, assignment_id, second, third, **options)

    return record


def test_the_noise_that_later_rounds_take_back_is_on_the_disk_sealed_and_then_not_at_all(disk: Disk) -> None:
    task, context = correlated(disk.world), disk.world.context
    noise_of_round(task)
    lineage = task.get()["manifest"]["model"]
    wrapped = context.db.run("key", lambda tx: noise_vectors.wrapped_key(tx, lineage))
    assert wrapped is not None
    key = sealing.unwrap(wrapped, context.deployment_keys, lineage)
    stored = context.db.run("noise", lambda tx: noise_vectors.read(tx, context.home, lineage, key, COORDINATES))
    secrets = key, stored[1][:4].tobytes()
    assert disk.holds(*secrets) == []
    assert task.steer("cancel").is_success
    disk.world.worker.sweep()
    assert disk.holds(*secrets) == []
    assert disk.objects() == []
    with context.db.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM aggregator.objects")).scalar() == 0


def test_the_key_of_a_round_is_gone_when_its_sum_was_taken(disk: Disk) -> None:
    task = task_of(disk)
    round_id = task.round["round_id"]
    wrapped = disk.wrapped_key(round_id)
    assert wrapped is not None
    round_key = sealing.unwrap(wrapped, disk.world.context.deployment_keys, round_id)
    assert disk.holds(round_key) == []
    for device in task.devices(2):
        device.report(device.assigned()["assignment_id"], report_of(np.full(SIZE, SECRET)))
    disk.world.work()
    assert task.round["number"] == 2
    assert disk.wrapped_key(round_id) is None
    assert disk.holds(round_key) == []


def test_the_key_and_the_sums_of_an_abandoned_round_are_gone(disk: Disk) -> None:
    task = task_of(disk)
    device, round_id = task.device(), task.round["round_id"]
    device.report(device.assigned()["assignment_id"], report_of(np.full(SIZE, SECRET)))
    assert task.steer("cancel").status_code == 200
    assert disk.wrapped_key(round_id) is None
    left = "SELECT count(*) FROM aggregator.partial_sums WHERE round_id = :round"
    with disk.world.context.db.engine.connect() as connection:
        assert connection.execute(text(left), {"round": round_id}).scalar() == 0
        assert connection.execute(text("SELECT count(*) FROM aggregator.object_chunks")).scalar() == 0


def test_superseded_sums_and_results_leave_no_object_behind(disk: Disk) -> None:
    task = task_of(disk, aggregation={"rule": "fedavgm"}, stop={"round_budget": 2})
    for _ in range(2):
        for device in task.devices(2):
            device.report(device.assigned()["assignment_id"], report_of(np.ones(SIZE)))
        disk.world.work()
    assert task.get()["state"] == "completed"
    with disk.world.context.db.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM aggregator.objects")).scalar() == 0
