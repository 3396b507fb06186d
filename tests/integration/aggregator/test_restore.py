"""A deployment restored from a backup that was taken while devices reported, in every home of objects."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from fedrec.local.binaries import find_binaries, unprivileged_account
from fedrec.local.postgres import LocalPostgres
from fedrec_protocol.messages import NotSelectedReason
from fedrec_sdk import Contributed, NotSelected, Participant
from tests.databases import create_database, drop_database
from tests.integration.aggregator.cohort import KnownUpdate
from tests.integration.aggregator.deployment import Device, Task
from tests.integration.aggregator.powers import counted, power_of_two, powers_task
from tests.integration.aggregator.world import World
from tests.integration.kit.s3 import moto_server
from tests.integration.test_backup import DUMP, RESTORE

PROGRAMS = find_binaries(unprivileged_account())
_seeds = itertools.count(1)


@dataclass
class Home:
    """Where objects are, before and after.

    Attributes:
        before: the setting of the first deployment.
        after: that of the restored one.
        copy: what `cp` or `aws s3 sync` would do.
        erase: takes an object of the restored deployment away, by its key.
    """

    before: str = ""
    after: str = ""
    copy: Callable[[], object] = lambda: None
    erase: Callable[[str], object] = lambda _: None


@pytest.fixture(scope="module", params=["postgres", "folder", "s3"])
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("objects")
    match request.param:
        case "postgres":
            yield Home()
        case "folder":
            before, after = folder / "before", folder / "after"
            yield Home(
                f"folder:{before}/{{}}",
                f"folder:{after}/{{}}",
                lambda: shutil.copytree(before, after),
                lambda key: next(after.rglob(key)).unlink(),
            )
        case _:
            with buckets() as home:
                yield home


@contextmanager
def buckets() -> Iterator[Home]:
    """Two buckets of one server."""
    with moto_server() as port, pytest.MonkeyPatch.context() as environment:
        url = f"http://127.0.0.1:{port}"
        environment.setenv("FEDREC_S3_ENDPOINT", url)
        for name in ("AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "us-east-1")
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as s3:
            for bucket in ("before", "after"):
                s3.put(f"/{bucket}").raise_for_status()

            def keys(bucket: str) -> list[str]:
                return re.findall("<Key>(.*?)</Key>", s3.get(f"/{bucket}?list-type=2").raise_for_status().text)

            def copy() -> None:
                for key in keys("before"):
                    s3.put(f"/after/{key}", headers={"x-amz-copy-source": f"/before/{key}"}).raise_for_status()

            def erase(key: str) -> None:
                for found in keys("after"):
                    if found.endswith(key):
                        s3.delete(f"/after/{found}").raise_for_status()

            yield Home("s3://before/{}", "s3://after/{}", copy, erase)


@dataclass
class Restored:
    """A task in round 2 at the time of the backup, as its devices and its operator find it again."""

    world: World
    task: Task
    home: Home
    devices: dict[str, Device] = field(default_factory=dict)
    assignments: dict[str, str] = field(default_factory=dict)
    sdk: Path = Path()


@pytest.fixture(scope="module")
def restored(
    home: Home, postgres: LocalPostgres, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Restored]:
    folder = tmp_path_factory.mktemp("backup")
    first = World(create_database(postgres.url, "before_restore", template=migrated_template), objects=home.before)
    empty = create_database(postgres.url, "after_restore")
    rule = {"rule": "fedavgm", "params": {"momentum": 0.0}}  # remembers something, and is the mean all the same
    task = first.task(aggregation=rule, **powers_task(goal=4, over_selection_factor=1.25, deadline_seconds=600))
    names = ("counted before", "counted meanwhile", "asked meanwhile", "idle")
    devices = dict(zip(names, task.devices(4), strict=True))
    for exponent, device in enumerate(devices.values()):
        assert device.report(device.assigned()["assignment_id"], power_of_two(exponent)).status_code == 201
    first.work()

    assignments = {name: devices[name].assigned()["assignment_id"] for name in names[:2]}
    assert devices["counted before"].report(assignments["counted before"], power_of_two(0)).status_code == 201
    # The worker is stopped from here on: it alone erases the bytes of objects.
    dump(first, folder / "fedrec.dump")
    assert devices["counted meanwhile"].report(assignments["counted meanwhile"], power_of_two(1)).status_code == 201
    assignments["asked meanwhile"] = devices["asked meanwhile"].assigned()["assignment_id"]
    assert devices["asked meanwhile"].report(assignments["asked meanwhile"], power_of_two(2)).status_code == 201
    devices["new"] = task.device()
    with participant(task, folder / "sdk") as app:
        assert isinstance(app.contribute(), Contributed)
    home.copy()
    # And here it goes on: what was not in the backup is published.
    first.work()
    assert task.get()["rounds_published"] == 2
    first.stop()

    restore(empty, folder / "fedrec.dump")
    world = World(empty, secrets=first.secrets, objects=home.after)
    world.advance(60)
    for device in devices.values():
        device.world = world
    yield Restored(world, Task(world, task.id, task.enrolment_key), home, devices, assignments, folder / "sdk")
    world.stop()
    for database in ("before_restore", "after_restore"):
        drop_database(postgres.url, database)


def dump(world: World, file: Path) -> None:
    url = plain(world.settings.database_url)
    subprocess.run([PROGRAMS / "pg_dump", *DUMP, f"--file={file}", f"--dbname={url}"], check=True)


def restore(database_url: str, file: Path) -> None:
    subprocess.run([PROGRAMS / "pg_restore", *RESTORE, f"--dbname={plain(database_url)}", file], check=True)


def plain(database_url: str) -> str:
    """The address as Postgres's own programs take it."""
    return database_url.replace("postgresql+psycopg", "postgresql")


def participant(task: Task, store: Path) -> Participant:
    """An app with the SDK, whose update is the fourth power of two."""
    trainer = KnownUpdate(power_of_two(3)["items"])
    return Participant(task.world.aggregator_urls[0], task.enrolment_key, store, trainer, seed=1)


def test_devices_recover_and_every_report_is_counted_once(restored: Restored) -> None:
    task, devices, assignments = restored.task, restored.devices, restored.assignments
    assert (task.get()["rounds_published"], task.round["reports"]) == (1, 1)

    again = {
        name: devices[name].report(assignments[name], power_of_two(place)) for place, name in enumerate(assignments)
    }
    # The same receipt; counted now, since it is in no sum; and an assignment that nobody remembers.
    assert {name: answer.status_code for name, answer in again.items()} == {
        "counted before": 200,
        "counted meanwhile": 201,
        "asked meanwhile": 404,
    }
    assert again["asked meanwhile"].json()["slug"] == "unknown-assignment"
    device = devices["asked meanwhile"]
    assert device.report(device.assigned()["assignment_id"], power_of_two(2)).status_code == 201

    unknown = devices["new"].send("POST", "/v1/check-ins", json={})
    assert (unknown.status_code, unknown.json()["slug"]) == (401, "unauthenticated")
    assert devices["new"].renew().status_code == 401
    assert devices["new"].enrol(task.enrolment_key).status_code == 201
    with participant(task, restored.sdk) as app:
        # The SDK enrols again by itself, and remembers that it has reported in a round of this number.
        outcome = app.contribute()
        assert isinstance(outcome, NotSelected)
        assert outcome.reason is NotSelectedReason.TOO_SOON
        idle = devices["idle"]
        assert idle.report(idle.assigned()["assignment_id"], power_of_two(3)).status_code == 201
        restored.world.work()
        assert isinstance(app.contribute(), Contributed)
    assert task.get()["rounds_published"] == 2
    assert counted(task) == {0, 1, 2, 3}
    restored.world.worker.sweep()  # objects that are newer than the backup are in nobody's way


def test_a_round_whose_sum_was_lost_is_abandoned_and_the_next_one_goes_on(restored: Restored) -> None:
    task = own_task(restored)
    device = task.device()
    assert device.report(device.assigned()["assignment_id"], power_of_two(0)).status_code == 201
    lose(restored, "SELECT object_key FROM aggregator.partial_sums WHERE round_id = :id", task.round["round_id"])
    restored.world.work()
    assert task.round["state"] == "abandoned"
    restored.world.advance(10)
    restored.world.work()
    assert device.report(device.assigned()["assignment_id"], power_of_two(5)).status_code == 201
    restored.world.work()
    assert counted(task) == {5}


def test_weights_that_were_lost_are_said_to_be_lost(restored: Restored) -> None:
    task = own_task(restored)
    version_id = task.get()["current_version_id"]
    query = "SELECT object_key FROM registry.weights JOIN registry.versions USING (digest) WHERE version_id = :id"
    lose(restored, query, version_id)
    headers = {"Authorization": f"Bearer {restored.world.secrets.registry_admin_key}"}
    answer = httpx.get(
        f"{restored.world.registry_url}/v1/versions/{version_id}/weights", headers=headers, timeout=60, trust_env=False
    )
    assert (answer.status_code, answer.json()["slug"]) == (503, "unavailable")
    assert "until an operator restores them" in answer.json()["detail"]


def own_task(restored: Restored) -> Task:
    """A task whose weights are nobody else's."""
    if not restored.home.after:
        pytest.skip("with Postgres as their home, objects are restored together with the rows that point to them")
    shared = [{"name": "items", "shape": [1], "dtype": "F64", "init": {"kind": "normal"}}]
    return restored.world.task(**powers_task(goal=1, deadline_seconds=600) | {"shared": shared, "seed": next(_seeds)})


def lose(restored: Restored, query: str, id_: str) -> None:
    """Take the objects that a query finds away."""
    with restored.world.context.db.engine.connect() as connection:
        keys = connection.execute(text(query), {"id": id_}).scalars().all()
    assert keys
    for key in keys:
        restored.home.erase(key)
