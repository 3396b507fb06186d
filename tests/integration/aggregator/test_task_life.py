"""A task from its creation to its last version, through HTTP, against exact arithmetic."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import event

from services.aggregator.storage import round_views
from services.model_registry.storage import weights
from tests.integration.aggregator.deployment import Task, report_of
from tests.integration.aggregator.world import World

DELTAS = [[[0.125, -0.5], [1.5, 0.0]], [[0.1, 0.2], [0.3, -0.4]], [[-1.0, 3.0], [0.7, 1e-6]]]
EXAMPLES = [3, 5, 11]
NORMAL = [{"name": "items", "shape": [2, 2], "init": {"kind": "normal", "scale": 0.1}}]


def run_round(task: Task, bodies: list[Any]) -> None:
    devices = task.devices(len(bodies))
    assignments = [device.assigned()["assignment_id"] for device in devices]
    for device, assignment_id, body in zip(devices, assignments, bodies, strict=True):
        answer = device.report(assignment_id, body)
        assert answer.status_code == 201, answer.text
    task.world.work()


def exact_mean(index: tuple[int, int]) -> Fraction:
    """sum_k (n_k / n) delta_k of one element, of the float32 values that were sent."""
    sent = [Fraction(float(np.float32(delta[index[0]][index[1]]))) for delta in DELTAS]
    return sum((n * value for n, value in zip(EXAMPLES, sent, strict=True)), Fraction(0)) / sum(EXAMPLES)


def test_a_round_of_fedavg_publishes_the_weighted_mean(world: World) -> None:
    task = world.task(shared=NORMAL, rounds={"aggregation_goal": 3})
    base = task.weights()["items"]
    assert base.std() > 0
    run_round(task, [report_of(delta, examples=n) for delta, n in zip(DELTAS, EXAMPLES, strict=True)])
    published = task.weights()["items"]
    for index in np.ndindex(2, 2):
        expected = float(Fraction(float(base[index])) + exact_mean((index[0], index[1])))
        # 2**-37 is what the grid may be off, half a unit in the last place what float32 may be.
        tolerance = 2.0**-37 + float(abs(np.spacing(published[index]))) / 2
        assert published[index] == pytest.approx(expected, abs=tolerance, rel=0)


def test_a_published_version_says_where_it_comes_from(world: World) -> None:
    task = world.task(recipe={"name": "mf", "config": {"dimension": 2}}, rounds={"aggregation_goal": 1})
    first = task.version()
    assert (first["number"], first["lineage"]["round_number"], first["parent_id"]) == (0, 0, None)
    round_id = task.round["round_id"]
    run_round(task, [report_of(np.ones((2, 2)), examples=7)])
    second = task.version()
    assert (second["number"], second["parent_id"], second["model"]) == (1, first["version_id"], first["model"])
    assert second["lineage"] == first["lineage"] | {
        "round_id": round_id,
        "round_number": 1,
        "aggregation_rule": "fedavg",
        "report_count": 1,
        "weight": 7,
    }


def test_the_device_downloads_the_version_that_its_assignment_names(world: World) -> None:
    task = world.task(shared=NORMAL)
    device = task.device()
    base = device.assigned()["base"]
    answer = httpx.get(base["url"], headers={"Authorization": f"Bearer {device.token}"}, trust_env=False, timeout=60)
    assert answer.status_code == 200
    assert answer.headers["etag"] == f'"{base["digest"]}"'
    assert len(answer.content) == base["size_bytes"]


def test_the_next_round_trains_from_what_was_published(world: World) -> None:
    task = world.task(rounds={"aggregation_goal": 1})
    for number in (1, 2):
        assert task.round["number"] == number
        assert task.round["base_version_id"] == task.get()["current_version_id"]
        run_round(task, [report_of(np.full((2, 2), 0.25))])
    assert task.weights()["items"].tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert [round_["state"] for round_ in task.get("/rounds")] == ["collecting", "published", "published"]


def test_fedavgm_remembers_its_velocity_between_rounds(world: World) -> None:
    task = world.task(
        aggregation={"rule": "fedavgm", "params": {"momentum": 0.5, "learning_rate": 1.0}},
        rounds={"aggregation_goal": 1},
    )
    for delta in (1.0, 0.25, -2.0):
        run_round(task, [report_of(np.full((2, 2), delta))])
    # v: 1, 0.75, -1.625; their sum is 0.125
    assert task.weights()["items"].tolist() == [[0.125, 0.125], [0.125, 0.125]]


def test_parameters_are_averaged_as_they_are(world: World) -> None:
    task = world.task(shared=NORMAL, report={"content": "parameters"}, rounds={"aggregation_goal": 2})
    run_round(task, [report_of(np.full((2, 2), 1.0), examples=1), report_of(np.full((2, 2), 3.0), examples=3)])
    np.testing.assert_allclose(task.weights()["items"], 2.5, rtol=1e-6)


def test_a_task_starts_from_a_version_that_is_in_the_registry(world: World) -> None:
    earlier = world.task(shared=NORMAL, rounds={"aggregation_goal": 1})
    version = earlier.version()
    later = world.task(model=version["model"], shared=NORMAL, base_version=version["version_id"])
    assert later.get()["current_version_id"] == version["version_id"]
    assert later.round["base_version_id"] == version["version_id"]


def test_a_task_does_not_start_from_a_version_whose_weights_were_deleted(world: World) -> None:
    task = world.task(shared=NORMAL, seed=4711, rounds={"aggregation_goal": 1})  # no other task has its weights
    first = task.version()
    run_round(task, [report_of(np.ones((2, 2)))])
    registry = world.registry_app.state.context
    while registry.db.run("delete", lambda tx: weights.delete_unused(tx, registry.home, used_before=date.max)):
        pass
    changes = {"name": "later", "model": first["model"], "base_version": first["version_id"]}
    answer = world.operator("POST", "/v1/tasks", json=task.get()["manifest"] | changes)
    assert (answer.status_code, answer.json()["slug"]) == (422, "invalid-manifest")
    assert "its weights" in answer.json()["detail"]


@pytest.mark.parametrize(
    "changes",
    [
        {"base_version": "ver_unknown"},
        {"aggregation": {"rule": "fedmagic"}},
        {"recipe": {"name": "combined"}},  # without a version to start from
        {"shared": [{"name": "items", "shape": [2, 2], "dtype": "BF16"}]},
    ],
)
def test_a_manifest_that_this_deployment_cannot_run_is_refused(world: World, changes: dict[str, Any]) -> None:
    answer = world.operator("POST", "/v1/tasks", json=world.task().get()["manifest"] | {"name": "cannot-run"} | changes)
    assert (answer.status_code, answer.json()["slug"]) == (422, "invalid-manifest")


def test_a_base_version_of_other_tensors_is_refused(world: World) -> None:
    version = world.task().version()
    changes = {"name": "other", "model": version["model"], "base_version": version["version_id"]}
    manifest = world.task().get()["manifest"] | changes | {"shared": [{"name": "items", "shape": [3]}]}
    answer = world.operator("POST", "/v1/tasks", json=manifest)
    assert (answer.status_code, answer.json()["slug"]) == (422, "invalid-manifest")


def test_a_task_of_a_known_name_is_refused(world: World) -> None:
    answer = world.operator("POST", "/v1/tasks", json=world.task().get()["manifest"])
    assert (answer.status_code, answer.json()["slug"]) == (409, "task-exists")


def test_metrics_are_the_base_versions_and_are_kept_with_it(world: World) -> None:
    task = world.task(metrics=["hr@10", "ndcg@10"], rounds={"aggregation_goal": 2}, stop={"round_budget": 1})
    first = task.get()["current_version_id"]
    run_round(task, [report_of(np.ones((2, 2)), metrics=[4, 1, 0.5]), report_of(np.ones((2, 2)), metrics=[12, 7, 2.5])])
    version = task.version(first)
    assert (version["metrics"], version["evaluated"]) == ({"hr@10": 0.5, "ndcg@10": 0.1875}, 16)


def evaluation(hits: float) -> dict[str, Any]:
    return {"fedrec.examples": np.array([0]), "fedrec.metrics": np.array([10, hits], np.float32)}


def test_the_last_round_measures_the_last_version_and_changes_nothing(world: World) -> None:
    task = world.task(metrics=["hr@10"], rounds={"aggregation_goal": 1}, stop={"round_budget": 1})
    run_round(task, [report_of(np.ones((2, 2)), metrics=[10, 1])])
    assert task.round["kind"] == "evaluation"
    last = task.get()["current_version_id"]
    run_round(task, [evaluation(4)])
    assert (task.get()["state"], task.get()["current_version_id"]) == ("completed", last)
    assert "budget of 1" in task.get()["state_reason"]
    assert task.version()["metrics"] == {"hr@10": pytest.approx(0.4)}
    assert task.round["published_version_id"] is None
    assert task.device().check_in()["reason"] == "task-ended"


def test_a_device_that_cannot_evaluate_is_not_asked_to(world: World) -> None:
    task = world.task(metrics=["hr@10"], rounds={"aggregation_goal": 1}, stop={"round_budget": 1})
    run_round(task, [report_of(np.ones((2, 2)), metrics=[10, 1])])
    device = task.device()
    assert device.check_in(kinds=["training"])["reason"] == "no-open-round"
    assert device.check_in(kinds=["training", "evaluation"])["outcome"] == "assigned"


def test_a_task_completes_when_its_metric_has_converged(world: World) -> None:
    stop = {"round_budget": 50, "convergence": {"metric": "hr@10", "patience": 2}}
    task = world.task(metrics=["hr@10"], rounds={"aggregation_goal": 1}, stop=stop, evaluate_final=False)
    for hits in (1, 5, 5, 4):
        assert task.get()["state"] == "active"
        run_round(task, [report_of(np.zeros((2, 2)), metrics=[10, hits])])
    assert task.get()["state"] == "completed"
    assert task.get()["state_reason"] == "hr@10 has not improved for 2 rounds"
    assert task.get()["rounds_published"] == 4


def test_a_page_of_rounds_is_read_with_as_many_queries_as_one_round(world: World) -> None:
    task, statements = world.task(rounds={"aggregation_goal": 1}), list[str]()
    for _ in range(3):
        run_round(task, [report_of(np.ones((2, 2)))])
    with world.context.db.engine.connect() as connection:
        event.listen(connection, "before_cursor_execute", lambda *args: statements.append(args[2]))
        for limit in (1, 3):
            statements.append("one more")
            assert len(round_views.views(connection, task.id, world.context.now(), limit=limit, before=4)) == limit
    one, page = statements[: len(statements) // 2], statements[len(statements) // 2 :]
    assert page == one
