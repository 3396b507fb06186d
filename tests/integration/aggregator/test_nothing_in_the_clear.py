"""What the disk knows of a single report: nothing that can be read without the deployment key."""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from fedrec.local.migrate import upgrade
from fedrec.local.postgres import LocalPostgres
from fedrec_protocol.manifest import TaskManifest
from services.aggregator.domain import sealing
from tests.integration.aggregator.deployment import Task, report_of
from tests.integration.aggregator.world import World

# A number that is unlikely anywhere else.
SECRET = 0.7071234345436096
SIZE = 64
ROUND_KEY = "SELECT wrapped_key FROM aggregator.rounds WHERE id = :round"


class Disk:
    """A deployment on a Postgres of its own whose files can be read."""

    def __init__(self, directory: Path, postgres: LocalPostgres) -> None:
        self.directory = directory
        self.postgres = postgres
        self.world = World(postgres.url)

    def holds(self, pattern: bytes) -> list[str]:
        """Which files hold these bytes, tables, indexes, write-ahead log and all, once everything is written."""
        with self.world.context.db.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("CHECKPOINT"))
        files = [path for path in self.directory.rglob("*") if path.is_file()]
        assert len(files) > 500
        return [path.name for path in files if pattern in path.read_bytes()]

    def wrapped_key(self, round_id: str) -> bytes | None:
        with self.world.context.db.engine.connect() as connection:
            key: bytes | None = connection.execute(text(ROUND_KEY), {"round": round_id}).scalar_one()
            return key


@pytest.fixture(scope="module")
def disk() -> Iterator[Disk]:
    with tempfile.TemporaryDirectory(dir="/tmp") as path:
        Path(path).chmod(0o755)
        directory = Path(path) / "postgres"
        with LocalPostgres(directory) as postgres:
            upgrade(postgres.url)
            disk = Disk(directory, postgres)
            yield disk
            disk.world.stop()


def task_of(disk: Disk, **changes: object) -> Task:
    shared = [{"name": "items", "shape": [SIZE], "dtype": "F32"}]
    report = {"weighting": "uniform", "maximum_norm": 100.0}
    return disk.world.task(shared=shared, report=report, rounds={"aggregation_goal": 2}, **changes)


def patterns(task: Task) -> dict[str, bytes]:
    """The same report as it is sent and as it is summed; a few numbers of it are enough to find it."""
    sent = np.full(4, SECRET, np.float32)
    bits = TaskManifest.model_validate(task.get()["manifest"]).fraction_bits
    summed = struct.pack("<q", round(float(sent[0]) * 2**bits))
    return {"as it is sent": sent.tobytes(), "as it is summed": 4 * summed}


def test_bytes_that_are_stored_as_they_are_would_be_found(disk: Disk) -> None:
    plain, context = os.urandom(1000), disk.world.context
    key = context.db.run("control", lambda tx: context.home.put(tx, [plain]))
    assert disk.holds(plain[500:532]) != []
    context.db.run("control", lambda tx: context.home.delete(tx, key))


def test_no_report_is_on_the_disk_in_the_clear_before_or_after_its_round(disk: Disk) -> None:
    task = task_of(disk)
    devices = task.devices(2)
    first = devices[0].assigned()["assignment_id"]
    secret = report_of(np.full(SIZE, SECRET))
    assert devices[0].report(first, secret).status_code == 201
    for what, pattern in patterns(task).items():
        assert disk.holds(pattern) == [], f"{what}, while the round collects"

    # The other report hides the first one in the sum that is published.
    other = np.random.default_rng(1).normal(size=SIZE)
    assert devices[1].report(devices[1].assigned()["assignment_id"], report_of(other)).status_code == 201
    disk.world.work()
    assert task.get()["rounds_published"] == 1
    for what, pattern in patterns(task).items():
        assert disk.holds(pattern) == [], f"{what}, after the round"


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
