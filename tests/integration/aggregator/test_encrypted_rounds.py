"""Homomorphic encryption end to end: real silos, real HTTP, real Postgres; the published sum is exact."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from fedrec_protocol.encrypted.parameters import Scheme
from fedrec_protocol.encrypted_messages import ENCRYPTED_MEDIA_TYPE
from fedrec_protocol.messages import RoundKind
from fedrec_sdk import Contributed, TaskEnded, TooLate
from fedrec_sdk.session import Session
from services.aggregator.pipeline.context import Context
from services.aggregator.pipeline.finish_round import finish_round
from services.aggregator.stores import make_context
from services.aggregator.worker import Worker
from tests.integration.aggregator.cohort import Cohort, integer_sum, published_sum
from tests.integration.aggregator.silos import decrypting_otherwise, encrypted_task, round_of, silo_key
from tests.integration.aggregator.world import World

Gather = Callable[..., Cohort]
DEADLINE, DECRYPTION = 601, 601
"""More than a round, and more than the decryption of its sum may last."""


@pytest.fixture
def gather(world: World, tmp_path: Path) -> Iterator[Gather]:
    cohorts: list[Cohort] = []

    def make(silos: int = 4, scheme: Scheme = Scheme.CKKS, **changes: object) -> Cohort:
        path = tmp_path / f"{len(cohorts)}.key"
        task = encrypted_task(world, silo_key(path, scheme), silos, **changes)
        cohorts.append(Cohort(task, tmp_path / f"{len(cohorts)}", silos, silo_key=path))
        return cohorts[-1]

    yield make
    for cohort in cohorts:
        cohort.close()


class PowerCut(BaseException):
    """The silo is gone."""


@pytest.mark.parametrize("scheme", list(Scheme))
def test_the_published_sum_is_the_integer_sum_of_what_the_silos_learnt(gather: Gather, scheme: Scheme) -> None:
    cohort = gather(scheme=scheme)
    cohort.wait(phases=1)
    assert "decrypting: 0 of 4 silos, 2 must agree" in str(round_of(cohort, 1)["waiting_for"])
    cohort.finish()
    assert published_sum(cohort.task, 4) == integer_sum(range(4))
    assert round_of(cohort, 1)["state"] == "published"
    assert round_of(cohort, 1)["reports"] == 4


def test_weights_and_metrics_come_through_the_sum_and_the_last_version_is_measured(gather: Gather) -> None:
    report = {"weighting": "examples", "maximum_norm": 4.0, "maximum_examples": 100}
    cohort = gather(report=report, metrics=["hr@10"], stop={"round_budget": 1})
    for number, kind in enumerate((RoundKind.TRAINING, RoundKind.EVALUATION), start=1):
        cohort.wait(phases=1)
        cohort.finish()
        found = round_of(cohort, number)
        assert found["kind"] == kind
        assert found["evaluated"] == 4 * 2
        assert found["metrics"] == {"hr@10": (1 + 2 + 3 + 4) / 16 / 8}
    assert round_of(cohort, 1)["examples"] == 1 + 2 + 3 + 4
    assert isinstance(cohort.people[0].contribute(), TaskEnded)


def test_a_silo_that_leaves_before_its_report_is_left_out_of_the_sum(gather: Gather, world: World) -> None:
    cohort = gather()
    cohort.wait(phases=1, without={1})
    world.advance(DEADLINE)
    world.work()
    cohort.finish(without={1})
    assert published_sum(cohort.task, 3) == integer_sum({0, 2, 3})
    assert round_of(cohort, 1)["reports"] == 3


def test_a_silo_whose_report_is_not_in_the_sum_is_shown_nothing_of_it(gather: Gather, world: World) -> None:
    cohort = gather()
    silent = cohort.task.device()
    path = f"/v1/assignments/{silent.assigned()['assignment_id']}/encrypted-sum"
    cohort.wait(phases=1, without={1})
    assert silent.send("GET", path).status_code == 202
    world.advance(DEADLINE)
    world.work()
    for resource in (path, f"{path}/words"):
        refused = silent.send("GET", resource)
        assert (refused.status_code, refused.json()["slug"]) == (410, "phase-closed")
    cohort.finish(without={1})
    assert published_sum(cohort.task, 3) == integer_sum({0, 2, 3})


def test_a_silo_that_leaves_before_it_decrypts_is_not_waited_for(gather: Gather) -> None:
    cohort = gather()
    cohort.wait(phases=1)
    cohort.finish(without={2, 3})
    assert published_sum(cohort.task, 4) == integer_sum(range(4))
    late, _ = cohort.step(without={0, 1}).values()
    assert isinstance(late, Contributed)  # its report is in the sum that others have decrypted
    assert late.round_number == 1


def test_a_silo_that_decrypts_while_the_registry_is_waited_for_is_done_too(gather: Gather, world: World) -> None:
    cohort = gather()
    cohort.wait(phases=1)
    world.stop_registry()
    try:
        cohort.finish(without={2, 3})
        assert round_of(cohort, 1)["state"] == "aggregating"
        cohort.finish(without={0, 1})
    finally:
        world.start_registry()
    world.work()
    assert published_sum(cohort.task, 4) == integer_sum(range(4))


def test_a_worker_that_comes_after_another_has_offered_the_sum_waits_for_the_silos_too(
    gather: Gather, world: World
) -> None:
    """Both had seen a closed round without one, and the second got its turn when the first was done."""
    cohort = gather()
    cohort.wait(phases=1)
    round_id = cohort.task.round["round_id"]
    finish_round(world.context, round_id, world.lease(round_id, seconds=0))
    assert "decrypting: 0 of 4 silos, 2 must agree" in str(round_of(cohort, 1)["waiting_for"])
    cohort.finish()
    assert published_sum(cohort.task, 4) == integer_sum(range(4))


def test_a_round_that_nobody_decrypts_is_abandoned_and_leaves_nothing(gather: Gather, world: World) -> None:
    cohort = gather()
    before = cohort.task.weights()["items"]
    cohort.wait(phases=1)
    round_id = cohort.task.round["round_id"]
    cohort.step(without={1, 2, 3})
    assert rows_of(world, round_id) == 2
    world.advance(DECRYPTION)
    world.work()
    assert round_of(cohort, 1)["state"] == "abandoned"
    assert "1 of at least 2 silos decrypted" in str(round_of(cohort, 1)["waiting_for"])
    assert rows_of(world, round_id) == 0
    assert value(world, "SELECT count(*) FROM aggregator.leases WHERE name = :round", round_id) == 0
    assert cohort.task.weights()["items"].tobytes() == before.tobytes()
    world.advance(10)
    world.work()
    cohort.step(without={0})  # they learn that the round is over
    cohort.step()
    cohort.finish()
    assert published_sum(cohort.task, 4) == integer_sum(range(4))


def test_a_sum_of_two_is_never_shown_to_anybody(gather: Gather, world: World) -> None:
    cohort = gather()
    cohort.wait(phases=1, without={1, 2})
    world.advance(DEADLINE)
    world.work()
    assert round_of(cohort, 1)["state"] == "abandoned"
    assert rows_of(world, cohort.task.get("/rounds")[-1]["round_id"]) == 0


def test_a_silo_that_decrypts_to_something_else_is_named_and_the_sum_is_exact(gather: Gather) -> None:
    cohort = gather()
    cohort.wait(phases=1)
    with decrypting_otherwise():
        cohort.people[1].contribute()
    cohort.finish(without={1})
    assert published_sum(cohort.task, 4) == integer_sum(range(4))
    client_id = cohort.people[1].enrol()
    assert round_of(cohort, 1)["blamed"] == {client_id: "decrypted the sum to other integers than a quorum of silos"}


def test_a_round_whose_silos_do_not_agree_is_abandoned_as_soon_as_all_have_answered(gather: Gather) -> None:
    cohort = gather()
    cohort.wait(phases=1)
    with decrypting_otherwise():
        for number in (1, 2):
            cohort.people[number].contribute()
    cohort.finish(without={1, 2})
    assert round_of(cohort, 1)["state"] == "abandoned"
    assert round_of(cohort, 1)["blamed"] == {}  # two against two: nobody knows who


def test_a_report_that_is_no_ciphertext_spoils_its_round_and_no_other(gather: Gather, world: World) -> None:
    cohort = gather()
    broken = cohort.task.device()
    cohort.step(without={3})
    garbage = np.random.default_rng(0).integers(0, 256, 8192 * 7 + 7 * 7, np.uint8)
    garbage[6::7] = 0  # every word below the modulus
    headers = {"Content_Type": ENCRYPTED_MEDIA_TYPE}
    assert broken.report(broken.assigned()["assignment_id"], garbage.tobytes(), **headers).status_code == 201
    world.work()
    for number in (0, 1, 2):
        with pytest.raises(Exception, match="encrypted-sum-refused"):
            cohort.people[number].contribute()
    world.advance(DECRYPTION)
    world.work()
    assert round_of(cohort, 1)["state"] == "abandoned"
    world.advance(10)
    world.work()
    cohort.wait(phases=1)
    cohort.finish()
    assert published_sum(cohort.task, 4) == integer_sum(range(4))


def test_the_api_the_worker_and_every_silo_may_restart_between_any_two_phases(
    gather: Gather, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, contexts = gather(), list[Context]()

    def restart_everything() -> None:
        cohort.restart()
        world.restart_aggregator(len(contexts))
        contexts.append(make_context(world.settings, world.clock))
        monkeypatch.setattr(world, "worker", Worker(contexts[-1], 0.5, "another"))

    for silo in cohort.people.values():
        silo.contribute()
    restart_everything()  # all have reported, and nobody has closed the round
    cohort.wait(phases=1)
    restart_everything()  # the sum is offered
    cohort.people[0].contribute()
    restart_everything()  # one has decrypted it
    cohort.finish(without={0})
    assert published_sum(cohort.task, 4) == integer_sum(range(4))
    for context in contexts:
        context.registry.close()
        context.db.dispose()


@pytest.mark.parametrize("name", ["report", "read_encrypted_sum", "send_decrypted"])
def test_a_silo_that_crashes_before_sending_sends_the_same(
    gather: Gather, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    cohort = gather()

    def fail(*_: object, **__: object) -> None:
        raise PowerCut

    if name == "send_decrypted":
        cohort.wait(phases=1)
    with monkeypatch.context() as broken:
        broken.setattr(Session, name, fail)
        with pytest.raises(PowerCut):
            cohort.people[0].contribute()
    stored = cohort.people[0].store.secure_rounds.pending()
    cohort.restart()
    assert cohort.people[0].store.secure_rounds.pending() == stored
    if name != "send_decrypted":
        cohort.wait(phases=1)
    cohort.finish()
    assert published_sum(cohort.task, 4) == integer_sum(range(4))


def test_nothing_of_the_round_is_left_when_it_is_published(gather: Gather, world: World) -> None:
    cohort = gather()
    cohort.wait(phases=1)
    round_id = cohort.task.round["round_id"]
    assert rows_of(world, round_id) == 1
    cohort.finish()
    assert rows_of(world, round_id) == 0
    assert value(world, "SELECT wrapped_key FROM aggregator.rounds WHERE id = :round", round_id) is None
    assert value(world, "SELECT count(*) FROM aggregator.partial_sums WHERE round_id = :round", round_id) == 0
    assert all(silo.store.secure_rounds.pending() is None for silo in cohort.people.values())


def test_neither_the_words_nor_the_decrypted_sum_lie_in_the_clear(gather: Gather, world: World) -> None:
    cohort = gather()
    cohort.wait(phases=1)
    cohort.people[0].contribute()
    round_id = cohort.task.round["round_id"]
    pending = cohort.people[1].store.secure_rounds.pending()
    assert pending is not None
    words = Session.encrypted_words(cohort.people[1]._session, pending.assignment_id)
    decrypted = np.array(integer_sum(range(4)), "<i4").tobytes()
    for table, plain in (("encrypted_sums", words), ("decryptions", decrypted)):
        key = str(value(world, f"SELECT object_key FROM aggregator.{table} WHERE round_id = :round", round_id))
        stored = object_of(world, key)
        assert len(stored) >= len(plain)
        assert plain[:28] not in stored


def test_the_trained_vector_is_not_kept_once_it_is_encrypted(gather: Gather) -> None:
    cohort = gather()
    cohort.wait(phases=1)
    pending = cohort.people[0].store.secure_rounds.pending()
    assert pending is not None
    assert pending.vector == b""
    assert pending.body is None  # counted


def test_a_cancelled_task_ends_while_its_round_collects(gather: Gather, world: World) -> None:
    cohort = gather()
    cohort.wait(phases=1, without={2})
    assert cohort.task.steer("cancel").status_code == 200
    world.work()
    for number in (0, 1):
        assert isinstance(cohort.people[number].contribute(), Contributed | TooLate)
        assert isinstance(cohort.people[number].contribute(), TaskEnded)


def rows_of(world: World, round_id: str) -> int:
    """Rows that hold anything of a round's encrypted sum."""
    tables = ("encrypted_sums", "decryptions")
    queries = (f"SELECT count(*) FROM aggregator.{table} WHERE round_id = :round" for table in tables)
    return sum(int(str(value(world, query, round_id))) for query in queries)


def object_of(world: World, key: str) -> bytes:
    """An object's bytes as they lie there."""
    return world.context.db.run("read_object", lambda tx: b"".join(world.context.home.read(tx, key)))


def value(world: World, query: str, round_id: str) -> object:
    with world.context.db.engine.connect() as connection:
        return connection.execute(text(query), {"round": round_id}).scalar_one()
