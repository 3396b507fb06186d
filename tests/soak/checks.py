"""What must hold, whatever was done."""

from __future__ import annotations

import itertools

from sqlalchemy import text

from tests.integration.aggregator.book import Book
from tests.integration.aggregator.deployment import Task
from tests.integration.aggregator.fleet import Fleet
from tests.soak.apps import AppMember
from tests.soak.ballots import NOISE_MULTIPLIER
from tests.soak.tally import Tally

UNDER_WAY = "state IN ('collecting', 'aggregating')"


def require_receipts_for_sums(fleet: Fleet) -> None:
    """At any moment the reports in the sums of a round that collects are those that have receipts."""
    query = """SELECT count(*) FROM aggregator.rounds r WHERE r.state = 'collecting' AND
        (SELECT coalesce(sum(p.report_count), 0) FROM aggregator.partial_sums p WHERE p.round_id = r.id) <>
        (SELECT count(*) FROM aggregator.receipts c WHERE c.round_id = r.id)"""
    assert fleet.value(query) == 0, "a sum holds other reports than those that have receipts"


def is_idle(fleet: Fleet, task: Task) -> bool:
    """Whether a task has no round under way."""
    return fleet.value(f"SELECT count(*) FROM aggregator.rounds WHERE task_id = :id AND {UNDER_WAY}", id=task.id) == 0


def every_round_has_ended(fleet: Fleet, books: list[Book], with_app: list[list[AppMember]]) -> bool:
    """Whether no round that anybody was assigned to is under way."""
    rounds = {work.round_id for book in books for work in book.work.values()}
    rounds = rounds.union(*(_receipts_by_round(fleet, members[0].task) for members in with_app))
    query = f"SELECT count(*) FROM aggregator.rounds WHERE id = ANY(:ids) AND {UNDER_WAY}"
    return fleet.value(query, ids=list(rounds)) == 0


def compare(fleet: Fleet, book: Book, minimum_reports: int, tally: Tally) -> None:
    """Hold a task's rounds against its receipts, then cancel it: its last round ends at once."""
    for device in {id(work.device): work.device for work in book.work.values()}.values():
        assert device.renew().status_code == 201
    tally.reports += book.compare_ended_rounds(minimum_reports=minimum_reports)
    _require_ended(fleet, book.task, tally)


def compare_with_app(fleet: Fleet, members: list[AppMember], tally: Tally) -> None:
    """Hold the sums of a task against its receipts, whoever left while they were unmasked or decrypted.

    Nobody is blamed, since nobody did anything wrong.
    """
    task, numbers = members[0].task, {member.client_id: member.number for member in members}
    acknowledged = set[str]().union(*(member.acknowledged for member in members))
    receipts = _receipts_by_round(fleet, task)
    assert acknowledged <= {report_id for of_round in receipts.values() for report_id in of_round}
    for round_ in task.get("/rounds?limit=500"):
        of_round = receipts.get(round_["round_id"], {})
        assert not round_["blamed"], round_
        if round_["state"] == "published":
            promised = {numbers[client_id] for client_id in of_round.values()}
            members[0].ballot.require(task, round_, promised)
        elif round_["state"] == "abandoned":
            assert round_["waiting_for"].startswith("it was abandoned: "), round_
        tally.app_reports += len(of_round)
    _require_ended(fleet, task, tally)


def require_every_release_charged(fleet: Fleet) -> None:
    """A round whose sum was stored, also one that was not published, is in its model's ledger.

    With noise on every report, each round that has one: it was seen with the first.
    """
    query = """SELECT r.task_id, count(*), count(*) FILTER (WHERE NOT EXISTS (
            SELECT FROM aggregator.privacy_charges c WHERE c.lineage = l.lineage AND c.round_number = r.number))
        FROM aggregator.rounds r JOIN aggregator.privacy_ledgers l USING (task_id)
        WHERE r.report_count IS NOT NULL OR l.lineage LIKE 'local-%' AND EXISTS (
            SELECT FROM aggregator.receipts e WHERE e.round_id = r.id) GROUP BY r.task_id"""
    with fleet.engine.connect() as connection:
        released = connection.execute(text(query)).all()
    for task_id, rounds, uncharged in released:
        assert uncharged == 0, "a sum was released and not charged"
        privacy = Task(fleet, task_id).get()["manifest"]["privacy"]
        if privacy.get("correlated") is None:  # which costs less than as many releases
            _require_price(Task(fleet, task_id), rounds)


def _require_price(task: Task, releases: int) -> None:
    # Gaussian releases of multiplier z are releases / (2 z^2)-zCDP, which costs at least that epsilon. So large a
    # number is computed to eight digits; one release that is missing would show in the third.
    spent = task.get("/privacy")["spent_epsilon"]
    assert 1.000_001 * spent >= releases / (2 * NOISE_MULTIPLIER**2), "a release was charged for too little"


def require_nothing_left(fleet: Fleet) -> None:
    """No object is pointed to by nothing, and no secret is kept: all rounds are over."""
    of_rounds = ("partial_sums", "secure_rounds", "secure_participants", "encrypted_sums", "decryptions")
    for table in ("objects", "noise_vectors", *of_rounds):
        kept = fleet.value(f"SELECT count(*) FROM aggregator.{table}")
        assert kept == 0, f"{kept} {table} belong to no round"
    assert fleet.value("SELECT count(*) FROM aggregator.rounds WHERE wrapped_key IS NOT NULL") == 0
    assert fleet.value("SELECT count(*) FROM aggregator.leases WHERE name LIKE 'rnd%'") == 0, (
        "a lease outlived its round"
    )


def _require_ended(fleet: Fleet, task: Task, tally: Tally) -> None:
    """Cancel a task: its last round ends at once, and all of them make one line of versions."""
    answer = task.steer("cancel")
    assert answer.status_code in {200, 409}, answer.text
    rounds = task.get("/rounds?limit=500")
    assert {round_["state"] for round_ in rounds} <= {"published", "abandoned"}, "a round outlived its task"
    tally.rounds.update(round_["state"] for round_ in rounds)
    released = [round_ for round_ in reversed(rounds) if round_["published_version_id"] is not None]
    for before, after in itertools.pairwise(released):
        assert after["base_version_id"] == before["published_version_id"], "a round did not begin where one ended"
    answer = fleet.registry_get(f"/v1/models/{task.get()['manifest']['model']}/versions?limit=500")
    assert answer.status_code == 200, answer.text
    assert len(answer.json()) == 1 + len(released), "a round was published twice, or is missing"


def _receipts_by_round(fleet: Fleet, task: Task) -> dict[str, dict[str, str]]:
    """By round id, the client ids of a task's receipts by report id; rounds without receipts too."""
    query = """SELECT r.id, c.report_id, a.client_id FROM aggregator.rounds r
        JOIN aggregator.assignments a ON a.round_id = r.id LEFT JOIN aggregator.receipts c ON c.assignment_id = a.id
        WHERE r.task_id = :task"""
    found: dict[str, dict[str, str]] = {}
    with fleet.engine.connect() as connection:
        for round_id, report_id, client_id in connection.execute(text(query), {"task": task.id}):
            of_round = found.setdefault(round_id, {})
            if report_id is not None:
                of_round[report_id] = client_id
    return found
