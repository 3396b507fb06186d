"""Secure aggregation end to end: real participants, real HTTP, real Postgres; the published sum is exact."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from fedrec_protocol.messages import RoundKind
from fedrec_protocol.secagg.participant import dealing
from fedrec_protocol.secagg.shamir import split
from fedrec_sdk import Contributed, TaskEnded, TooLate
from fedrec_sdk.session import Session
from services.aggregator.stores import make_context
from services.aggregator.worker import Worker
from tests.integration.aggregator.cohort import (
    FRACTION_BITS,
    Cohort,
    integer_sum,
    published_sum,
    secure_task,
)
from tests.integration.aggregator.world import World

Gather = Callable[..., Cohort]
ADVERTISING, SHARING, REPORTING, CONFIRMING, REVEALING = range(5)
NAMES = ("advertising", "sharing", "reporting", "confirming", "revealing")
SECONDS = (601, 61, 61, 61, 61)
"""More than each phase may last."""


@pytest.fixture
def gather(world: World, tmp_path: Path) -> Iterator[Gather]:
    cohorts = []

    def make(people: int = 8, **changes: object) -> Cohort:
        cohorts.append(Cohort(secure_task(world, people, **changes), tmp_path, people))
        return cohorts[-1]

    yield make
    for cohort in cohorts:
        cohort.close()


class PowerCut(BaseException):
    """The device is gone."""


def round_of(cohort: Cohort, number: int) -> dict[str, object]:
    (found,) = [round_ for round_ in cohort.task.get("/rounds") if round_["number"] == number]
    return dict(found)


def test_the_published_sum_is_the_integer_sum_of_what_everybody_learnt(gather: Gather, world: World) -> None:
    cohort = gather()
    cohort.wait(phases=4)
    cohort.finish()
    assert published_sum(cohort.task, 8) == integer_sum(range(8))
    assert round_of(cohort, 1)["state"] == "published"
    assert round_of(cohort, 1)["reports"] == 8


def test_weights_and_metrics_are_those_of_a_plain_task_bit_for_bit(
    gather: Gather, world: World, tmp_path: Path
) -> None:
    same = {"report": {"weighting": "examples", "maximum_norm": 4.0, "maximum_examples": 100}, "metrics": ["hr@10"]}
    shared = [{"name": "items", "shape": [12], "init": {"kind": "normal"}}]
    stop = {"round_budget": 1}
    masked = gather(secure={"modulus_bits": 64, "value_bits": 50}, shared=shared, stop=stop, **same)
    plain_task = world.task(shared=shared, rounds={"aggregation_goal": 8}, stop=stop, **same)
    plain = Cohort(plain_task, tmp_path / "plain")
    for _ in (RoundKind.TRAINING, RoundKind.EVALUATION):
        plain.finish()
        masked.wait(phases=4)
        masked.finish()
    plain.close()
    assert masked.task.weights()["items"].tobytes() == plain_task.weights()["items"].tobytes()
    assert np.abs(masked.task.weights()["items"]).max() > 0
    for number in (1, 2):
        of_plain = {round_["number"]: round_ for round_ in plain_task.get("/rounds")}[number]
        for field in ("metrics", "examples", "evaluated", "reports", "kind"):
            assert round_of(masked, number)[field] == of_plain[field], field
    assert isinstance(masked.people[0].contribute(), TaskEnded)


@pytest.mark.parametrize("leaves_before", [ADVERTISING, SHARING, REPORTING, CONFIRMING, REVEALING])
def test_the_sum_stays_exact_when_two_leave_in_any_phase(gather: Gather, world: World, leaves_before: int) -> None:
    cohort = gather()
    gone = {2, 6}
    cohort.wait(phases=leaves_before)
    for phase in range(leaves_before, REVEALING):
        cohort.wait(phases=1, without=gone)
        if cohort.phase == NAMES[phase]:  # those who left are still waited for
            world.advance(SECONDS[phase])
            world.work()
    cohort.finish(without=gone)
    if leaves_before == REVEALING:
        world.advance(SECONDS[REVEALING])
        world.work()
    survivors = set(range(8)) - gone if leaves_before <= REPORTING else set(range(8))
    assert published_sum(cohort.task, len(survivors)) == integer_sum(survivors)


@pytest.mark.parametrize("phase", [ADVERTISING, SHARING, REPORTING])
def test_a_round_below_the_floor_is_abandoned_and_leaves_nothing(gather: Gather, world: World, phase: int) -> None:
    cohort = gather()
    before = cohort.task.weights()["items"]
    cohort.wait(phases=phase)
    cohort.wait(phases=1, without=range(4, 8))
    round_id = cohort.task.round["round_id"]
    assert rows_of(world, round_id) > 0
    world.advance(SECONDS[phase])
    world.work()
    assert round_of(cohort, 1)["state"] == "abandoned"
    assert "4 of at least 5" in str(round_of(cohort, 1)["waiting_for"])
    assert rows_of(world, round_id) == 0
    assert cohort.task.weights()["items"].tobytes() == before.tobytes()
    for number in range(4):
        assert isinstance(cohort.people[number].contribute(), TooLate if phase < REPORTING else Contributed)


def test_a_round_with_too_few_acknowledgements_reveals_nothing(gather: Gather, world: World) -> None:
    cohort = gather()
    cohort.wait(phases=3)
    # Five are enough for the floor, but six of eight must agree on the survivors: t = 2 * 8 // 3 + 1.
    cohort.wait(phases=1, without=range(5, 8))
    world.advance(SECONDS[CONFIRMING])
    world.work()
    for outcome in cohort.step(without=range(5, 8)).values():
        assert isinstance(outcome, Contributed)  # counted; whether the round releases it is another matter
    world.advance(SECONDS[REVEALING])
    world.work()
    world.work()
    assert round_of(cohort, 1)["state"] == "abandoned"
    assert "below-threshold" in str(round_of(cohort, 1)["waiting_for"])


def test_after_an_abandoned_round_the_next_one_has_new_keys_and_succeeds(gather: Gather, world: World) -> None:
    cohort = gather()
    cohort.wait(phases=1, without=range(3, 8))
    world.advance(601)
    world.work()
    world.advance(10)
    world.work()
    for outcome in cohort.step(without=range(3, 8)).values():
        assert isinstance(outcome, TooLate)
    cohort.wait(phases=4)
    cohort.finish()
    assert round_of(cohort, 1)["state"] == "abandoned"
    assert published_sum(cohort.task, 8) == integer_sum(range(8))


def test_the_api_the_worker_and_every_device_may_restart_between_any_two_phases(
    gather: Gather, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, contexts = gather(), []
    for _ in range(4):
        cohort.wait(phases=1)
        cohort.restart()
        for index in range(len(world.aggregators)):
            world.restart_aggregator(index)
        context = make_context(world.settings, world.clock)
        monkeypatch.setattr(world, "worker", Worker(context, 0.5, "another"))
        contexts.append(context)
    cohort.finish()
    assert published_sum(cohort.task, 8) == integer_sum(range(8))
    for context in contexts:
        context.registry.close()
        context.db.dispose()


def test_nothing_of_the_round_is_left_when_it_is_published(gather: Gather, world: World) -> None:
    cohort = gather()
    cohort.wait(phases=4)
    round_id = cohort.task.round["round_id"]
    assert rows_of(world, round_id) == 9
    cohort.finish()
    assert rows_of(world, round_id) == 0
    key = "SELECT wrapped_key FROM aggregator.rounds WHERE id = :round"
    sums = "SELECT count(*) FROM aggregator.partial_sums WHERE round_id = :round"
    assert value(world, key, round_id) is None
    assert value(world, sums, round_id) == 0
    for participant in cohort.people.values():
        assert participant.store.secure_rounds.pending() is None
        assert len(participant.store.secure_rounds.joined()) == 1


def test_a_crash_after_storing_and_before_sending_sends_the_same_message(
    gather: Gather, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = gather()

    def fail(*_: object, **__: object) -> None:
        raise PowerCut

    for name in ("send_secure", "send_secure", "report", "send_secure", "send_secure"):
        with monkeypatch.context() as broken:
            broken.setattr(Session, name, fail)
            with pytest.raises(PowerCut):
                cohort.people[0].contribute()
        stored = cohort.people[0].store.secure_rounds.pending()
        assert stored is not None
        cohort.restart()
        again = cohort.people[0].store.secure_rounds.pending()
        assert again == stored
        cohort.step()
    assert published_sum(cohort.task, 8) == integer_sum(range(8))


def rows_of(world: World, round_id: str) -> int:
    """Rows that hold anything of a secure round's phases."""
    counts = (
        f"SELECT count(*) FROM aggregator.{table} WHERE round_id = :round"
        for table in ("secure_rounds", "secure_participants")
    )
    return sum(int(str(value(world, query, round_id))) for query in counts)


def value(world: World, query: str, round_id: str) -> object:
    with world.context.db.engine.connect() as connection:
        return connection.execute(text(query), {"round": round_id}).scalar_one()


def test_the_servers_noise_goes_on_the_unmasked_sum_and_the_statement_says_both(gather: Gather, world: World) -> None:
    policy = {"noise_multiplier": 1.0, "budget_epsilon": 50.0, "target_delta": 1e-5}
    cohort = gather(privacy=policy)
    cohort.wait(phases=4)
    cohort.finish()
    noise = np.array(published_sum(cohort.task, 8)) - np.array(integer_sum(range(8)))
    # Noise of standard deviation 4 (the norm) on a sum: twelve draws stay within six deviations, and are not all small.
    assert 0.2 * 4 < np.abs(noise / 2**FRACTION_BITS).max() < 6 * 4
    mechanism = cohort.task.version()["lineage"]["privacy"]["mechanism"]
    assert mechanism["is_secure_aggregation"]
    assert cohort.task.get("/privacy")["charges"] == 1


def test_a_dealer_of_false_shares_spoils_its_round_and_no_other(
    gather: Gather, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = gather()
    cohort.wait(phases=1)
    with monkeypatch.context() as poisoned:
        poisoned.setattr(dealing, "split", lambda _, *rest: split(bytes(32), *rest))
        cohort.people[0].contribute()
    cohort.wait(phases=3)
    round_id = cohort.task.round["round_id"]
    cohort.finish()
    assert round_of(cohort, 1)["state"] == "abandoned"
    assert "poisoned-dealer" in str(round_of(cohort, 1)["waiting_for"])
    assert rows_of(world, round_id) == 0
    world.advance(10)
    world.work()
    cohort.wait(phases=4)
    cohort.finish()
    assert published_sum(cohort.task, 8) == integer_sum(range(8))
