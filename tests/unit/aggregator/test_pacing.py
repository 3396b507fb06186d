"""Pace steering: who comes back when, and how many that makes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fedrec_protocol.messages import NotSelectedReason
from services.aggregator.domain.pacing import DETAIL, Demand, retry_after_seconds
from services.aggregator.domain.recent_participants import RecentParticipants

NOBODY = Demand(participants=0, places=10, round_seconds=60)
REJECTED = (NotSelectedReason.COHORT_FULL, NotSelectedReason.NO_OPEN_ROUND, NotSelectedReason.TOO_LATE)
ACCEPTED = (NotSelectedReason.ALREADY_REPORTED, NotSelectedReason.TOO_SOON)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def waits(reason: NotSelectedReason, demand: Demand, count: int = 2000, round_number: int = 1) -> list[float]:
    return [retry_after_seconds(reason, f"cli_{n}", demand, round_number=round_number) for n in range(count)]


def test_participants_come_back_spread_over_half_the_time_around_it() -> None:
    times = waits(NotSelectedReason.COHORT_FULL, NOBODY)
    assert min(times) >= 0.75 * 5
    assert max(times) <= 1.25 * 5
    assert sum(times) / len(times) == pytest.approx(5, rel=0.02)
    in_tenths = [sum(3.75 + 0.25 * n <= time < 4.0 + 0.25 * n for time in times) for n in range(10)]
    assert min(in_tenths) > 120  # of 200 expected


def test_nobody_is_late_in_every_round() -> None:
    first, second = (waits(NotSelectedReason.COHORT_FULL, NOBODY, round_number=number) for number in (1, 2))
    latest = sorted(range(2000), key=first.__getitem__)[-200:]
    assert sum(second[n] for n in latest) / 200 == pytest.approx(5, rel=0.05)


def test_many_who_ask_at_one_moment_stay_away_long_enough_to_be_served() -> None:
    wait = [retry_after_seconds(NotSelectedReason.NO_OPEN_ROUND, f"cli_{n}", NOBODY, asking=10_000) for n in range(200)]
    assert min(wait) >= 0.75 * 10_000 / 200
    assert max(wait) <= 1.25 * 10_000 / 200


@pytest.mark.parametrize("reason", REJECTED)
def test_a_crowd_arrives_twice_for_each_place_of_a_round(reason: NotSelectedReason) -> None:
    crowd = Demand(participants=2000, places=50, round_seconds=60)
    arrivals_per_second = sum(1 / wait for wait in waits(reason, crowd))
    assert arrivals_per_second * 60 == pytest.approx(2 * 50, rel=0.05)


@pytest.mark.parametrize("reason", ACCEPTED)
def test_those_who_took_part_let_a_turn_pass(reason: NotSelectedReason) -> None:
    crowd = Demand(participants=2000, places=50, round_seconds=60)
    turn = 60 * 2000 / (2 * 50)
    assert sum(waits(reason, crowd)) / 2000 == pytest.approx(min(2 * turn, 1800), rel=0.02)
    assert sum(waits(NotSelectedReason.COHORT_FULL, crowd)) / 2000 == pytest.approx(turn, rel=0.02)


@pytest.mark.parametrize("reason", REJECTED + ACCEPTED)
def test_where_all_are_welcome_in_every_round_rounds_that_take_long_send_nobody_away(reason: NotSelectedReason) -> None:
    small = Demand(participants=100, places=50, round_seconds=86_400)
    assert waits(reason, small) == waits(reason, NOBODY)


def test_a_crowd_sends_nobody_away_for_so_long_that_it_is_forgotten() -> None:
    huge = Demand(participants=1e9, places=1, round_seconds=86_400)
    assert max(waits(NotSelectedReason.ALREADY_REPORTED, huge)) <= 40 * 60


def test_a_paused_task_is_no_crowd() -> None:
    crowd = Demand(participants=2000, places=50, round_seconds=60)
    assert waits(NotSelectedReason.TASK_PAUSED, crowd) == waits(NotSelectedReason.TASK_PAUSED, NOBODY)


@pytest.mark.parametrize("reason", NotSelectedReason)
def test_every_reason_has_a_time_and_words(reason: NotSelectedReason) -> None:
    assert retry_after_seconds(reason, "cli_1", NOBODY) > 0
    assert DETAIL[reason]


def test_few_participants_are_counted_exactly_however_often_they_ask() -> None:
    recent = RecentParticipants()
    for minute in range(30):
        recent.add((f"cli_{n}" for n in range(900)), NOON + timedelta(minutes=minute))
    assert recent.estimate(NOON + timedelta(minutes=30)) == 900


def test_many_participants_are_counted_within_a_tenth() -> None:
    recent = RecentParticipants()
    for minute in range(0, 40, 10):  # each of them twice, in another order
        recent.add((f"cli_{(n * 7919 + minute) % 20_000}" for n in range(10_000)), NOON + timedelta(minutes=minute))
    seen = {(n * 7919 + minute) % 20_000 for minute in range(0, 40, 10) for n in range(10_000)}
    assert recent.estimate(NOON + timedelta(minutes=40)) == pytest.approx(len(seen), rel=0.1)


def test_who_asks_at_several_processes_is_counted_once() -> None:
    here, there, newcomer = (RecentParticipants() for _ in range(3))
    here.add((f"cli_{n}" for n in range(12_000)), NOON)
    there.add((f"cli_{n}" for n in range(8_000, 20_000)), NOON + timedelta(minutes=25))
    newcomer.learn([*here.untold(), *there.untold()])
    here.learn(there.untold())
    assert newcomer.estimate(NOON + timedelta(minutes=25)) == here.estimate(NOON + timedelta(minutes=25))
    assert here.estimate(NOON + timedelta(minutes=25)) == pytest.approx(20_000, rel=0.1)
    assert here.estimate(NOON + timedelta(minutes=61)) == pytest.approx(12_000, rel=0.1)  # those of `there`


def test_others_are_told_only_of_what_is_new() -> None:
    recent = RecentParticipants()
    recent.add(["cli_1"], NOON)
    assert [len(sketch.smallest) for sketch in recent.untold()] == [8]
    recent.learn([])
    recent.add(["cli_1"], NOON)
    assert recent.untold() == []
    recent.add((f"cli_{n}" for n in range(5000)), NOON)
    assert [len(sketch.smallest) for sketch in recent.untold()] == [8 * 1024]


def test_whoever_stays_away_for_an_hour_is_no_longer_counted() -> None:
    recent = RecentParticipants()
    recent.add(["cli_1", "cli_2"], NOON)
    recent.add(["cli_2"], NOON + timedelta(minutes=30))
    assert recent.estimate(NOON + timedelta(minutes=39)) == 2
    assert recent.estimate(NOON + timedelta(minutes=61)) == 1
    assert recent.estimate(NOON + timedelta(hours=3)) == 0
