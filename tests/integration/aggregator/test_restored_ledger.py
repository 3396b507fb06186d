"""A private task's ledger comes back from a backup: what was released since is charged before anything else is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from fedrec.cli import app
from fedrec.local.postgres import LocalPostgres
from services.aggregator.storage.incarnation import incarnation
from tests.databases import create_database, drop_database
from tests.integration.aggregator.deployment import Task
from tests.integration.aggregator.test_correlated_noise import correlated
from tests.integration.aggregator.test_private_task import gaussian_epsilon, private, zeros
from tests.integration.aggregator.test_restore import dump, restore
from tests.integration.aggregator.test_task_life import run_round
from tests.integration.aggregator.world import World

BUDGET = 50.0


class Restored:
    """Tasks with one round at the time of the backup, as they are found again; `released` says what came after it."""

    def __init__(self, world: World, tasks: dict[str, Task], spent: dict[str, float]) -> None:
        self.world, self._tasks, self.spent = world, tasks, spent

    def task(self, name: str) -> Task:
        before = self._tasks[name]
        return Task(self.world, before.id, before.enrolment_key)

    def state(self, name: str, releases: int) -> Any:
        """An administrator says how many releases the ledger does not know."""
        path = f"/v1/tasks/{self.task(name).id}/unrecorded-releases"
        answer = self.world.operator("POST", path, json={"releases": releases})
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def restored(postgres: LocalPostgres, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    yield from _restored(postgres, migrated_template, tmp_path_factory.mktemp("backup") / "fedrec.dump")


def _restored(postgres: LocalPostgres, template: str, file: Path) -> Iterator[Restored]:
    first = World(create_database(postgres.url, "ledger_before", template=template))
    capped = {"aggregation_goal": 2, "minimum_reports": 2, "maximum_participations": 2, "minimum_separation": 2}
    tasks = {
        "unbounded": private(first),
        "spared": private(first),
        "capped": private(first, rounds=capped),
        "correlated": correlated(first),
        "cancelled": private(first),
    }
    for task in tasks.values():
        run_round(task, zeros())
    waiting = tasks["unbounded"].devices(2)  # round 2 has its reports at the time of the backup, and no outcome
    for device, body in zip(waiting, zeros(), strict=True):
        assert device.report(device.assigned()["assignment_id"], body).status_code == 201
    assert tasks["cancelled"].steer("cancel").is_success
    dump(first, file)
    first.work()
    for name in ("unbounded", "capped", "correlated"):
        run_round(tasks[name], zeros())
    spent = {name: task.get("/privacy")["spent_epsilon"] for name, task in tasks.items()}
    first.stop()

    empty = create_database(postgres.url, "ledger_after")
    restore(empty, file)
    world = World(empty, secrets=first.secrets)
    world.work(2)
    yield Restored(world, tasks, spent)
    world.stop()
    for database in ("ledger_before", "ledger_after"):
        drop_database(postgres.url, database)


def test_every_private_task_is_held_and_says_what_to_do(restored: Restored) -> None:
    for name in ("unbounded", "spared", "capped", "correlated"):
        view = restored.task(name).get()
        assert (view["state"], view["rounds_published"]) == ("failed", 1)
        assert "fedrec task restored" in view["state_reason"]
        refused = restored.task(name).steer("resume")
        assert (refused.status_code, refused.json()["slug"]) == (409, "task-not-active")
        assert "fedrec task restored" in refused.json()["detail"]
    assert restored.task("cancelled").get()["state"] == "completed"


def test_what_was_released_after_the_backup_costs_what_it_cost_and_the_round_that_waited_is_another_release(
    restored: Restored,
) -> None:
    task = restored.task("unbounded")
    assert task.get("/privacy")["charges"] == 1
    assert restored.spent["unbounded"] == pytest.approx(gaussian_epsilon(1.0, 3), rel=0.01)
    assert restored.state("unbounded", 2)["state"] == "failed"
    assert task.get("/privacy")["spent_epsilon"] == pytest.approx(restored.spent["unbounded"])
    assert task.steer("resume").is_success
    restored.world.work()
    assert task.get()["rounds_published"] == 2
    assert task.get("/privacy")["spent_epsilon"] == pytest.approx(gaussian_epsilon(1.0, 4), rel=0.01)


def test_a_task_that_released_nothing_since_goes_on_with_the_ledger_it_has(restored: Restored) -> None:
    task = restored.task("spared")
    assert restored.state("spared", 0)["state"] == "failed"
    assert task.steer("resume").is_success
    run_round(task, zeros())
    assert task.get("/privacy")["spent_epsilon"] == pytest.approx(gaussian_epsilon(1.0, 2), rel=0.01)


@pytest.mark.parametrize("name", ["capped", "correlated"])
def test_a_task_that_bounds_participation_or_correlates_noise_ends_and_its_ledger_is_complete(
    restored: Restored, name: str
) -> None:
    view = restored.state(name, 1)
    assert (view["state"], view["state_reason"]) == ("completed", "cancelled by bootstrap")
    restored.world.work()
    task = restored.task(name)
    assert task.round["state"] == "abandoned"
    # One user may have been in both rounds, as far as the restored deployment can know.
    assert task.get("/privacy")["charges"] == 2
    assert task.get("/privacy")["spent_epsilon"] >= restored.spent[name] * (1 - 1e-9)


def test_a_backup_that_the_database_does_not_show_can_be_stated_too(restored: Restored) -> None:
    """Such as a copy of the disk; by the command this time."""
    task = restored.task("cancelled")
    options = ("--url", restored.world.aggregator_urls[0], "--key", restored.world.secrets.aggregator_admin_key)
    said = CliRunner().invoke(app, ["task", "restored", task.id, "--releases", "3", *options])
    assert said.exit_code == 0, said.output
    assert "is completed" in said.output
    assert task.get("/privacy")["spent_epsilon"] == pytest.approx(gaussian_epsilon(1.0, 4), rel=0.01)
    newest = restored.world.operator("GET", "/v1/audit").json()[0]
    assert (newest["action"], newest["subject"]) == ("state 3 unrecorded releases", task.id)


def test_a_task_without_privacy_goes_on_and_has_no_ledger_to_complete(restored: Restored) -> None:
    task = restored.world.task()
    answer = restored.world.operator("POST", f"/v1/tasks/{task.id}/unrecorded-releases", json={"releases": 0})
    assert (answer.status_code, answer.json()["slug"]) == (404, "no-privacy")


def test_a_ledger_of_a_version_that_named_no_database_is_taken_to_be_whole(restored: Restored) -> None:
    task = private(restored.world)
    with restored.world.context.db.engine.begin() as connection:
        forget = text("UPDATE aggregator.privacy_ledgers SET incarnation = NULL WHERE task_id = :id")
        connection.execute(forget, {"id": task.id})
    run_round(task, zeros())
    assert task.get("/privacy")["charges"] == 1
    with restored.world.context.db.engine.connect() as connection:
        unnamed = connection.execute(text("SELECT count(*) FROM aggregator.privacy_ledgers WHERE incarnation IS NULL"))
        assert unnamed.scalar() == 0


def test_a_postgres_that_does_not_tell_its_cluster_is_known_by_its_tables(restored: Restored) -> None:
    """As managed ones that lack these functions: a restored dump is noticed there too, and work goes on."""
    with restored.world.context.db.engine.connect() as connection:
        whole = incarnation(connection)
        connection.execute(text("CREATE ROLE guest"))
        connection.execute(text("GRANT USAGE ON SCHEMA aggregator TO guest"))
        connection.execute(text("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC"))
        connection.execute(text("SET LOCAL ROLE guest"))
        table = incarnation(connection)
        connection.rollback()
    cluster, timeline, of_whole = whole.split(".")
    assert (cluster.isdigit(), timeline, of_whole) == (True, "1", table)
