"""The tasks that run side by side while operations are done, who takes part in them, and what must come of them."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

from fedrec_protocol.encrypted.parameters import Scheme
from tests.integration.aggregator.book import Book
from tests.integration.aggregator.deployment import Task
from tests.integration.aggregator.fleet import Fleet, until
from tests.integration.aggregator.powers import powers_task
from tests.soak import app_tasks, checks
from tests.soak.apps import AppMember, AppTask, AppTransport
from tests.soak.ballots import MEASURED, PRIVATE, measuring_task, private_task
from tests.soak.clocks import SharedClock
from tests.soak.crowd import LATER, Crowd, Member
from tests.soak.tally import Tally
from tests.soak.visitors import Visitor

PATIENCE_SECONDS = 120.0
"""For whatever must happen once nothing is broken any more."""
REQUEST_SECONDS = 10.0
DEADLINE_SECONDS = 8.0
MEMBERS = 6
"""Devices of the first task, one in three of which is in each of the next three too."""
MINIMUM, STARVING_MINIMUM = 2, 4

_numbers = itertools.count(1)


class Tasks:
    """Eight tasks, with their crowd. Masks are with noise every other time, and so the scheme of encryption changes.

    Attributes:
        fed: has as many devices as it needs.
        starving: never has; its rounds are abandoned.
    """

    def __init__(self, fleet: Fleet, clock: SharedClock, folder: Path, seed: str) -> None:
        self._fleet = fleet
        self._clock = clock
        self._number = next(_numbers)
        self.fed = self._task("fed", powers_task(goal=4, **_rounds()))
        self.starving = self._task("starving", powers_task(goal=4, **_rounds(minimum=STARVING_MINIMUM)))
        private = self._task("private", private_task(goal=2, **_rounds()))
        measuring = self._task("measuring", measuring_task(goal=2, **_rounds()))
        folder /= str(self._number)
        apps = self._apps(folder)
        self._transport = AppTransport(clock, timeout=REQUEST_SECONDS, connections=sum(a.people for a in apps.values()))
        self._members_by_app = [self._with_app(name, kind, folder, seed) for name, kind in apps.items()]
        self._progressing = (self.fed, private, measuring, *(members[0].task for members in self._members_by_app))
        self._books = [
            Book(self.fed, later=LATER),
            Book(self.starving, later=LATER),
            Book(private, later=LATER, ballot=PRIVATE),
            Book(measuring, later=LATER, ballot=MEASURED),
        ]
        with_apps = itertools.chain.from_iterable(self._members_by_app)
        self._visitor = Visitor(fleet, self.fed, f"{seed}.visitor")
        self._crowd = Crowd([*self._members(seed), *with_apps, self._visitor])

    def require_well(self) -> None:
        """Raise what anybody met that may not happen."""
        self._crowd.require_well()

    def require_progress(self) -> None:
        """With devices, a network and everything running, rounds are published again."""
        before = {task.id: task.get()["rounds_published"] for task in self._progressing}

        def goes_on() -> bool:
            self._crowd.require_well()
            behind = [task for task in self._progressing if task.get()["rounds_published"] == before[task.id]]
            if any(checks.is_idle(self._fleet, task) for task in behind):
                self._clock.jump(1.0)  # a task whose rounds were abandoned pauses, for longer each time
            time.sleep(0.3)
            return not behind

        until(goes_on, patience_seconds=PATIENCE_SECONDS)

    def compare(self, tally: Tally) -> None:
        """Nobody takes part any more: every round ends, and each holds what was promised."""
        self._crowd.stop()
        self._transport.close()
        until(self._has_every_round_ended, patience_seconds=PATIENCE_SECONDS)
        for book, minimum in zip(self._books, (MINIMUM, STARVING_MINIMUM, MINIMUM, MINIMUM), strict=True):
            checks.compare(self._fleet, book, minimum, tally)
        self._visitor.require_gone()
        for members in self._members_by_app:
            checks.compare_with_app(self._fleet, members, tally)
        checks.require_every_release_charged(self._fleet)
        checks.require_nothing_left(self._fleet)

    def _has_every_round_ended(self) -> bool:
        self._clock.jump(2 * DEADLINE_SECONDS)
        time.sleep(0.3)
        return checks.every_round_has_ended(self._fleet, self._books, self._members_by_app)

    def _members(self, seed: str) -> list[Member]:
        """Everybody is in the first task, and in one of the others."""
        fed, *others = self._books
        return [Member(self._fleet, [fed, others[number % 3]], f"{seed}.{number}") for number in range(MEMBERS)]

    def _apps(self, folder: Path) -> dict[str, AppTask]:
        """The tasks of participants with an app, by name."""
        is_odd = self._number % 2 == 1
        return {
            "masked": app_tasks.masked(with_noise=not is_odd, deadline_seconds=DEADLINE_SECONDS),
            "encrypted": app_tasks.encrypted(folder, Scheme.CKKS if is_odd else Scheme.BFV, **_rounds()),
            "correlated": app_tasks.correlated(**_rounds()),
            "local": app_tasks.local(**_rounds()),
        }

    def _with_app(self, name: str, kind: AppTask, folder: Path, seed: str) -> list[AppMember]:
        task = self._task(name, kind.manifest)
        return [AppMember(kind, task, number, folder / name, self._transport, seed) for number in range(kind.people)]

    def _task(self, kind: str, manifest: dict[str, Any]) -> Task:
        name = f"{kind}-{self._number}"
        task = self._fleet.task(**manifest | {"name": name, "model": name})
        assert task.enrolment_key
        return task


def _rounds(minimum: int = MINIMUM) -> dict[str, Any]:
    return {
        "minimum_reports": minimum,
        "over_selection_factor": 2.0,
        "deadline_seconds": DEADLINE_SECONDS,
        "report_timeout_seconds": DEADLINE_SECONDS / 2,
    }
