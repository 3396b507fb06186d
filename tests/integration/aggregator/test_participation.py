"""Who is asked to take part, how long they may take, and what becomes of a round that too few join."""

from __future__ import annotations

import itertools
import threading
import time
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from tests.integration.aggregator.deployment import Device, Task, report_of
from tests.integration.aggregator.world import World

ONES = report_of(np.ones((2, 2)))


def outcome(device: Device) -> str:
    answer = device.check_in()
    return str(answer.get("reason", answer["outcome"]))


def test_as_many_are_assigned_as_over_selection_says(world: World) -> None:
    task = world.task(rounds={"aggregation_goal": 2, "over_selection_factor": 1.5})
    devices = task.devices(5)
    assert [outcome(device) for device in devices] == ["assigned"] * 3 + ["cohort-full"] * 2
    answer = devices[4].send("POST", "/v1/check-ins", json={})
    assert int(answer.headers["retry-after"]) >= answer.json()["retry_after_seconds"]
    assert task.round["assignments"] == 3
    closing = world.clock.now() + timedelta(seconds=600)
    assert task.round["waiting_for"].startswith(f"0 of 2 reported, 3 at work, closes {closing:%Y-%m-%d %H:%M}")


def test_checking_in_again_answers_the_same_assignment(world: World) -> None:
    device = world.task().device()
    first = device.assigned()
    world.advance(5)
    again = device.assigned()
    assert again["assignment_id"] == first["assignment_id"]
    assert again["deadline"] == first["deadline"]
    assert again["expires_in_seconds"] == first["expires_in_seconds"] - 5


def test_whoever_has_reported_waits_for_the_next_round(world: World) -> None:
    task = world.task(rounds={"aggregation_goal": 2})
    device, other = task.devices(2)
    device.report(device.assigned()["assignment_id"], ONES)
    assert outcome(device) == "already-reported"
    other.report(other.assigned()["assignment_id"], ONES)
    assert outcome(device) == "already-reported"  # until a worker closes the round
    world.work()
    assert outcome(device) == "assigned"


def test_a_place_that_is_not_used_in_time_goes_to_another(world: World) -> None:
    task = world.task(rounds={"aggregation_goal": 1, "report_timeout_seconds": 30, "deadline_seconds": 100})
    slow, quick, late = task.devices(3)
    assert outcome(slow) == "assigned"
    assert outcome(quick) == "cohort-full"
    world.advance(30)
    assert outcome(slow) == "too-late"
    assert quick.assigned()["expires_in_seconds"] == 30
    world.advance(30)
    assert late.assigned()["expires_in_seconds"] == 30
    world.advance(20)
    assert task.device().check_in()["reason"] == "cohort-full"


def test_places_are_replaced_but_not_for_ever(world: World) -> None:
    task = world.task(rounds={"aggregation_goal": 1, "report_timeout_seconds": 1, "deadline_seconds": 100})
    outcomes = []
    for device in task.devices(6):
        outcomes.append(outcome(device))
        world.advance(2)
    assert outcomes == ["assigned"] * 4 + ["cohort-full"] * 2


def test_an_assignment_ends_with_its_round(world: World) -> None:
    task = world.task(rounds={"aggregation_goal": 1, "report_timeout_seconds": 60, "deadline_seconds": 100})
    world.advance(70)
    assert task.device().assigned()["expires_in_seconds"] == 30


def test_a_place_that_was_used_stays_taken_when_its_time_is_over(world: World) -> None:
    task = world.task(rounds={"aggregation_goal": 2, "report_timeout_seconds": 30, "deadline_seconds": 100})
    reported, second, third = task.devices(3)
    assert reported.report(reported.assigned()["assignment_id"], ONES).status_code == 201
    world.advance(31)
    assert [outcome(device) for device in (second, third)] == ["assigned", "cohort-full"]


def play(task: Task, device: Device) -> None:
    assert device.report(device.assigned()["assignment_id"], ONES).status_code == 201
    task.world.work()


def test_nobody_takes_part_more_often_than_the_task_allows(world: World) -> None:
    task = world.task(rounds={"aggregation_goal": 1, "maximum_participations": 2}, stop={"round_budget": 9})
    device = task.device()
    play(task, device)
    play(task, device)
    assert outcome(device) == "participation-cap"
    assert outcome(task.device()) == "assigned"


def test_nobody_takes_part_sooner_than_the_task_allows(world: World) -> None:
    task = world.task(rounds={"aggregation_goal": 1, "minimum_separation": 2}, stop={"round_budget": 9})
    device, other = task.devices(2)
    play(task, device)
    for _ in range(2):
        assert outcome(device) == "too-soon"
        play(task, other)
        assert outcome(device) == "assigned"
        play(task, device)


def test_at_the_deadline_the_minimum_is_enough(world: World) -> None:
    task = world.task(rounds={"aggregation_goal": 3, "minimum_reports": 2, "deadline_seconds": 60})
    for device in task.devices(2):
        device.report(device.assigned()["assignment_id"], ONES)
    world.work()
    assert task.round["state"] == "collecting"
    world.advance(60)
    world.work()
    assert task.version()["lineage"]["report_count"] == 2


def test_a_round_that_too_few_join_is_abandoned_and_another_opens_after_a_growing_pause(world: World) -> None:
    task = world.task(rounds={"aggregation_goal": 3, "minimum_reports": 2, "deadline_seconds": 60})
    device, first = task.device(), task.get()["current_version_id"]
    assignment_id = device.assigned()["assignment_id"]
    device.report(assignment_id, ONES)
    for number, pause in ((1, 1), (2, 2), (3, 4)):
        world.advance(60)
        world.work()
        assert (task.round["number"], task.round["state"]) == (number, "abandoned")
        assert "of 2 reports at the deadline" in task.round["waiting_for"]
        opens = world.clock.now() + timedelta(seconds=pause)
        assert task.round["waiting_for"].endswith(f"the next round opens at {opens:%H:%M:%S} UTC")
        assert outcome(device) == "no-open-round"
        world.advance(pause - 0.5)
        world.work()
        assert task.round["number"] == number
        world.advance(0.5)
        world.work()
        assert (task.round["number"], task.round["state"]) == (number + 1, "collecting")
    assert task.get()["current_version_id"] == first
    assert task.get()["rounds_published"] == 0
    assert device.send("GET", f"/v1/assignments/{assignment_id}").json()["state"] == "reported"


def test_a_paused_task_finishes_its_round_and_opens_no_other(world: World) -> None:
    task = world.task(rounds={"aggregation_goal": 1})
    device = task.device()
    assert task.steer("pause").json()["state"] == "paused"
    assert task.steer("pause").json()["slug"] == "task-not-active"
    play(task, device)
    assert (task.round["state"], task.get()["rounds_published"]) == ("published", 1)
    assert outcome(device) == "task-paused"
    assert task.round["waiting_for"].endswith("; an operator has to resume the task: paused by bootstrap")
    assert task.steer("resume").json()["state"] == "active"
    world.work()
    assert outcome(device) == "assigned"


def test_a_cancelled_task_abandons_its_round_and_ends(world: World) -> None:
    task = world.task(rounds={"aggregation_goal": 1})
    device = task.device()
    assignment_id = device.assigned()["assignment_id"]
    answer = task.steer("cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, "completed")
    assert device.report(assignment_id, ONES).json()["slug"] == "round-closed"
    world.work()
    assert task.round["state"] == "abandoned"
    assert outcome(device) == "task-ended"
    assert {verb: task.steer(verb).status_code for verb in ("pause", "resume", "cancel")} == {
        "pause": 409,
        "resume": 409,
        "cancel": 409,
    }


@pytest.mark.parametrize("url", [0, 1], ids=["the process that was told", "another process"])
def test_a_waiting_check_in_is_answered_when_a_round_opens(world: World, url: int) -> None:
    task = world.task()
    assert task.steer("pause").status_code == 200
    device = task.device()
    device.report(device.assigned()["assignment_id"], ONES)
    other = task.device()
    other.report(other.assigned()["assignment_id"], ONES)
    world.work()
    task.steer("resume")
    answers: list[Any] = []

    def ask() -> None:
        path = "/v1/check-ins"
        sent = device.send("POST", path, url=world.aggregator_urls[url], json={}, headers={"Prefer": "wait=50"})
        answers.append(sent.json())

    waiting = threading.Thread(target=ask)
    waiting.start()
    time.sleep(0.5)
    assert waiting.is_alive()
    world.work()
    waiting.join(45)
    assert [answer["outcome"] for answer in answers] == ["assigned"]


def test_a_check_in_that_waits_in_vain_is_told_when_to_come_back(world: World) -> None:
    task = world.task(rounds={"aggregation_goal": 1})
    first, second = task.devices(2)
    first.assigned()
    answer = second.check_in(wait=1)
    assert (answer["reason"], answer["retry_after_seconds"] > 0) == ("cohort-full", True)


def test_in_a_crowd_who_was_turned_away_asks_once_in_a_turn_and_who_took_part_later(world: World) -> None:
    task = world.task(rounds={"aggregation_goal": 1, "deadline_seconds": 600})
    lucky, *others = task.devices(10)
    lucky.report(lucky.assigned()["assignment_id"], ONES)
    world.advance(100)  # as old as the round is by now
    turned_away = [device.check_in() for device in others][-1]
    turn = 100 * 10 / 2
    assert turned_away["reason"] == "cohort-full"
    assert 0.75 * turn <= turned_away["retry_after_seconds"] <= 1.25 * turn
    assert 1.5 * turn <= lucky.check_in()["retry_after_seconds"] <= 2.5 * turn


def test_a_crowd_that_is_spread_over_processes_is_one_crowd(world: World) -> None:
    task = world.task(rounds={"aggregation_goal": 1, "deadline_seconds": 600})
    lucky, *others = task.devices(10)
    lucky.report(lucky.assigned()["assignment_id"], ONES)
    world.advance(100)
    for number, device in enumerate(others):
        device.send("POST", "/v1/check-ins", url=world.aggregator_urls[number % 2], json={})
    world.advance(5)  # by then a process tells the others, and hears of them
    for device, url in itertools.product(others[:3], world.aggregator_urls):
        device.send("POST", "/v1/check-ins", url=url, json={})
    world.advance(5)
    turn = 110 * 10 / 2
    for url in world.aggregator_urls:
        answer = others[0].send("POST", "/v1/check-ins", url=url, json={}).json()
        assert 0.75 * turn <= answer["retry_after_seconds"] <= 1.25 * turn


def test_many_who_ask_at_once_get_the_places_that_there_are(world: World) -> None:
    task = world.task(rounds={"aggregation_goal": 5, "over_selection_factor": 1.2})
    devices, outcomes = task.devices(12), list[str]()
    urls = world.aggregator_urls

    def ask(number: int) -> None:
        answer = devices[number].send("POST", "/v1/check-ins", url=urls[number % 2], json={}).json()
        outcomes.append(answer.get("reason", answer["outcome"]))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["assigned"] * 6 + ["cohort-full"] * 6
