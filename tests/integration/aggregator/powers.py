"""Reports that say who sent them: the sum of distinct powers of two is a set of participants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.integration.aggregator.deployment import Body, Task, report_of


@dataclass(frozen=True)
class Ballot:
    """A kind of reports that say who sent them.

    Attributes:
        bodies: how many there are in a round.
        body: the report of a number below that.
        require: fails unless the outcome of a published round is that of exactly these reports.
    """

    bodies: int
    body: Callable[[int], Body]
    require: Callable[[Task, Any, set[int]], None]


def powers_task(*, goal: int, **rounds: Any) -> dict[str, Any]:
    """A task of one float64 number, uniformly weighted: a report of 2**k says that participant k <= 30 sent it."""
    return {
        "shared": [{"name": "items", "shape": [1], "dtype": "F64"}],
        "report": {"weighting": "uniform", "maximum_norm": 2.0**30},
        "rounds": {"aggregation_goal": goal} | rounds,
        "stop": {"round_budget": 1000},
    }


def power_of_two(exponent: int) -> Body:
    """The report of one participant."""
    return report_of([0.0]) | {"items": np.array([2.0**exponent])}


def counted(task: Task, version_id: str | None = None) -> set[int]:
    """Who is in a published version: its difference to its parent times the number of reports, bit by bit."""
    version = task.version(version_id)
    after = task.weights(version["version_id"])["items"][0]
    before = task.weights(version["parent_id"])["items"][0]
    total = round(float(after - before) * version["lineage"]["report_count"])
    assert total >= 0
    return {bit for bit in range(total.bit_length()) if total >> bit & 1}


def _require_counted(task: Task, round_: Any, promised: set[int]) -> None:
    assert counted(task, round_["published_version_id"]) == promised, round_


POWERS = Ballot(31, power_of_two, _require_counted)
