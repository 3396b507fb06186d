"""The folder on the device: survives restarts, one process at a time."""

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedrec_protocol.messages import RoundKind
from fedrec_sdk import History, LocalStore, Participant, Unavailable, participant
from fedrec_sdk.store.database import StoreBroken, StoreInUse, StoreTooNew
from fedrec_sdk.store.outbox import PendingReport
from fedrec_sdk.testing import FakeAggregator
from tests.unit.sdk.conftest import Join
from tests.unit.sdk.popularity import history_of


def test_interactions_come_back_by_time_and_those_of_one_moment_as_recorded(tmp_path: Path) -> None:
    with LocalStore(tmp_path) as store:
        store.interactions.add([(5, 30.0), (1, 10.0)])
        store.interactions.add([(9, 10.0), (2, 20.0)])
    with LocalStore(tmp_path) as reopened:
        history = reopened.interactions.history()
    assert history.items.tolist() == [1, 9, 2, 5]
    assert history.times is not None
    assert history.times.tolist() == [10.0, 10.0, 20.0, 30.0]


def test_without_times_the_order_of_recording_counts(aggregator: FakeAggregator, join: Join) -> None:
    ada = join(aggregator, "ada", (3, 1))
    ada.record(2, time=5.0)
    history = ada.store.interactions.history()
    assert (history.items.tolist(), history.times) == ([3, 1, 2], None)


def test_items_alone_are_recorded_in_their_order_and_something_else_is_refused_whole(
    aggregator: FakeAggregator, join: Join
) -> None:
    ada = join(aggregator, "ada")
    ada.record_many([4, np.int64(1)])
    with pytest.raises(TypeError):
        ada.record_many([2, 1.5])  # type: ignore[list-item]  # what a caller without types may do
    history = ada.store.interactions.history()
    assert (history.items.tolist(), history.times) == ([4, 1], None)


def test_what_happens_now_is_the_newest_whatever_the_clock_says(
    aggregator: FakeAggregator, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = join(aggregator, "ada")
    for item, clock in enumerate((1.7e9, 0.0, 1.8e9)):  # a device that was without power begins in 1970
        monkeypatch.setattr(participant, "now", lambda clock=clock: clock)
        ada.record(item)
    history = ada.store.interactions.history()
    assert history.times is not None
    assert (history.items.tolist(), history.times.tolist()) == ([0, 1, 2], [1.7e9, 1.7e9, 1.8e9])


@pytest.mark.parametrize("item", [1.5, "318", None])
def test_an_item_that_is_no_integer_is_not_taken_for_one(aggregator: FakeAggregator, join: Join, item: Any) -> None:
    ada = join(aggregator, "ada")
    with pytest.raises(TypeError):
        ada.record(item)
    with pytest.raises(TypeError):
        ada.record_many(History(np.array([item])))
    assert len(ada.store.interactions.history()) == 0


def test_an_interaction_without_a_time_happens_now(aggregator: FakeAggregator, join: Join) -> None:
    ada = join(aggregator, "ada")
    ada.record_many(History(np.array([7]), np.array([1.0])))
    ada.record(8)
    times = ada.store.interactions.history().times
    assert times is not None
    assert times[1] > 1.7e9


@pytest.mark.parametrize(("item", "time"), [(-1, 0.0), (1, float("nan")), (1, float("inf"))])
def test_impossible_interactions_are_refused_and_none_of_the_batch_is_kept(
    tmp_path: Path, item: int, time: float
) -> None:
    with LocalStore(tmp_path) as store:
        with pytest.raises(ValueError, match="items are numbers from 0"):
            store.interactions.add([(1, 0.0), (item, time)])
        assert len(store.interactions.history()) == 0


def test_a_second_process_is_told_that_the_store_is_in_use(tmp_path: Path) -> None:
    script = (
        "import sys; from fedrec_sdk import LocalStore, Unavailable\n"
        "try: LocalStore(sys.argv[1]).interactions.history()\n"
        "except Unavailable as error: print(error)\n"
    )
    with LocalStore(tmp_path) as store:
        store.interactions.history()
        other = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True, timeout=280
        )
    assert f"the store {tmp_path} is in use" in other.stdout


def test_a_closed_store_is_free_and_opens_again_when_used(tmp_path: Path) -> None:
    first, second = LocalStore(tmp_path), LocalStore(tmp_path)
    first.interactions.add([(1, None)])
    with pytest.raises(StoreInUse):
        second.interactions.history()
    first.close()
    assert len(second.interactions.history()) == 1
    second.close()
    assert len(first.interactions.history()) == 1
    first.close()


def test_a_store_written_by_a_newer_sdk_is_left_alone(tmp_path: Path) -> None:
    with LocalStore(tmp_path) as store:
        store.interactions.add([(1, None)])
    connection = sqlite3.connect(tmp_path / "participant.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with LocalStore(tmp_path) as store, pytest.raises(StoreTooNew):
        store.interactions.history()


def test_a_process_killed_in_a_transaction_leaves_the_store_as_before(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from fedrec_sdk import LocalStore\n"
        "store = LocalStore(sys.argv[1])\n"
        "store.interactions.add([(1, None)])\n"
        "with store._database.transaction() as tx:\n"
        "    tx.execute('INSERT INTO interaction (item) VALUES (2)')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False, timeout=280)
    assert killed.returncode == -9
    with LocalStore(tmp_path) as store:
        assert store.interactions.history().items.tolist() == [1]


def test_a_report_is_acknowledged_together_with_its_private_tensors(tmp_path: Path) -> None:
    report = PendingReport("task", "asg", "ver", 4, RoundKind.TRAINING, body=b"body", private=b"")
    with LocalStore(tmp_path) as store:
        store.outbox.put(report)
    with LocalStore(tmp_path) as store:
        assert store.outbox.pending() == report
        store.outbox.acknowledge(report)
        assert store.outbox.pending() is None


def test_a_full_disk_is_unavailable_and_loses_nothing(tmp_path: Path) -> None:
    with LocalStore(tmp_path) as store:
        store.interactions.add([(1, None)])
        with store._database.transaction() as tx:
            (pages,) = tx.execute("PRAGMA page_count").fetchone()
            tx.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(Unavailable, match="full"):
            store.values.put("large", bytes(1_000_000))
        assert store.interactions.history().items.tolist() == [1]


def test_a_write_that_the_disk_refuses_says_why_and_loses_nothing(tmp_path: Path) -> None:
    script = """
import os, resource, sys
from fedrec_sdk import LocalStore, Unavailable
with LocalStore(sys.argv[1]) as store:
    store.interactions.add([(1, None)])
    log = os.path.join(sys.argv[1], "participant.sqlite-wal")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(log) + 5000, hard))
    try:
        store.values.put("large", bytes(1_000_000))
    except Unavailable as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    store.values.put("small", b"1")
    print(store.interactions.history().items.tolist(), store.values.get("large"))
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=280).stdout.splitlines()
    assert said == [f"the store {tmp_path} cannot be used: disk I/O error", "[1] None"]


def test_a_damaged_store_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "participant.sqlite").write_bytes(b"not a database" * 1000)
    with LocalStore(tmp_path) as store:
        for use in (store.interactions.history, store.outbox.pending):
            with pytest.raises(StoreBroken, match="delete it to begin anew"):
                use()


def test_threads_may_record_while_another_contributes(aggregator: FakeAggregator, ada: Participant) -> None:
    def record_many() -> None:
        for item in range(20):
            ada.record_many(history_of(item % 5))

    threads = [threading.Thread(target=record_many) for _ in range(4)]
    for thread in threads:
        thread.start()
    ada.contribute()
    for thread in threads:
        thread.join()
    assert len(ada.store.interactions.history()) == 5 + 80


def test_what_a_person_did_can_be_forgotten(aggregator: FakeAggregator, ada: Participant) -> None:
    ada.contribute()
    client_id = ada.enrol()
    secret = ada.parameters()["own_noise"].tobytes()

    ada.forget()
    assert len(ada.store.interactions.history()) == 0
    assert ada.parameters().keys() == {"share"}
    assert ada.enrol() == client_id
    assert not files_with(ada, secret)


def test_an_interaction_is_in_no_file_once_it_is_forgotten_though_the_process_lives_on(
    aggregator: FakeAggregator, join: Join
) -> None:
    ada = join(aggregator, "ada")
    ada.record(0x5EC2E7)
    trace = (0x5EC2E7).to_bytes(3, "big")  # as SQLite writes an integer of three bytes
    assert files_with(ada, trace)
    ada.forget()
    assert not files_with(ada, trace)


def files_with(participant: Participant, content: bytes) -> list[str]:
    """The files of the store in which these bytes can be found."""
    files = [path for path in participant.store.folder.iterdir() if path.is_file()]
    return [path.name for path in files if content in path.read_bytes()]
