"""What must hold, whatever was done."""

from __future__ import annotations

import itertools
from typing import Any

from tests.integration.aggregator.book import Book
from tests.integration.aggregator.deployment import Task
from tests.integration.aggregator.fleet import Fleet
from tests.soak.tally import Tally


def require_receipts_for_sums(fleet: Fleet) -> None:
    """At any moment the reports in the sums of a round that collects are those that have receipts."""
    query = """SELECT count(*) FROM aggregator.rounds r WHERE r.state = 'collecting' AND
        (SELECT coalesce(sum(p.report_count), 0) FROM aggregator.partial_sums p WHERE p.round_id = r.id) <>
        (SELECT count(*) FROM aggregator.receipts c WHERE c.round_id = r.id)"""
    assert fleet.value(query) == 0, "a sum holds other reports than those that have receipts"


def every_round_has_ended(fleet: Fleet, books: list[Book]) -> bool:
    """Whether no round that anybody was assigned to is under way."""
    rounds = {work.round_id for book in books for work in book.work.values()}
    under_way = "SELECT count(*) FROM aggregator.rounds WHERE id = ANY(:ids) AND state IN ('collecting', 'aggregating')"
    return fleet.value(under_way, ids=list(rounds)) == 0


def compare(fleet: Fleet, book: Book, minimum_reports: int, tally: Tally) -> None:
    """Hold a task's rounds against its receipts, then cancel it: its last round ends at once."""
    task = book.task
    for device in {id(work.device): work.device for work in book.work.values()}.values():
        assert device.renew().status_code == 201
    tally.reports += book.compare_ended_rounds(minimum_reports=minimum_reports)
    answer = task.steer("cancel")
    assert answer.status_code in {200, 409}, answer.text
    rounds = task.get("/rounds?limit=500")
    assert {round_["state"] for round_ in rounds} <= {"published", "abandoned"}, "a round outlived its task"
    tally.rounds.update(round_["state"] for round_ in rounds)
    _require_one_line_of_versions(fleet, task, rounds)


def require_nothing_left(fleet: Fleet) -> None:
    """No object is pointed to by nothing: all rounds are over."""
    kept = fleet.value("SELECT count(*) FROM aggregator.objects")
    assert kept == 0, f"{kept} objects belong to no round"


def _require_one_line_of_versions(fleet: Fleet, task: Task, rounds: list[dict[str, Any]]) -> None:
    """Every published round has one version, made from the one before; nobody else made any."""
    published = [round_ for round_ in reversed(rounds) if round_["state"] == "published"]
    for before, after in itertools.pairwise(published):
        assert after["base_version_id"] == before["published_version_id"], "a round did not begin where one ended"
    answer = fleet.registry_get(f"/v1/models/{task.get()['manifest']['model']}/versions?limit=500")
    assert answer.status_code == 200, answer.text
    assert len(answer.json()) == 1 + len(published), "a round was published twice, or is missing"
