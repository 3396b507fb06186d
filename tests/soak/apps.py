"""Participants with an app: the SDK as it is, on devices that are switched off and on with their stores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedrec_protocol.problems import Slug
from fedrec_sdk import Contributed, Participant, Rejected, Unavailable
from fedrec_sdk.transport import Transport
from services.kit.clock import Clock
from tests.integration.aggregator.cohort import KnownUpdate
from tests.integration.aggregator.deployment import Task
from tests.integration.aggregator.powers import Ballot
from tests.soak.crowd import Person

LEAVING = 0.02
"""How often a device is switched off, wherever its round stands."""
LONGEST_ABSENCE_SECONDS = 3.0
LATER = frozenset({Slug.CREDENTIAL_EXPIRED, Slug.UNAUTHENTICATED})
"""A clock jumped between a token and its use."""


@dataclass(frozen=True)
class AppTask:
    """A task whose participants have an app.

    Attributes:
        manifest: of the task.
        people: how many take part.
        ballot: what each of them reports, in every round.
        pause_seconds: between two looks of one of them, on average half of it.
        silo_key: the file of the key that they share, where reports are encrypted.
    """

    manifest: dict[str, Any]
    people: int
    ballot: Ballot
    pause_seconds: float
    silo_key: Path | None = None


class AppTransport(Transport):
    """Connections of devices that go by the deployment's clock."""

    def __init__(self, clock: Clock, *, timeout: float, connections: int) -> None:
        super().__init__(attempts=2, timeout=timeout, longest_wait=0.5, maximum_connections=connections)
        self._clock = clock

    def server_time(self, url: str) -> float:
        return self._clock.now().timestamp()


class AppMember(Person):
    """One participant, whose update is the same in every round."""

    def __init__(self, kind: AppTask, task: Task, number: int, folder: Path, transport: Transport, seed: str) -> None:
        super().__init__(f"{seed}.{folder.name}.{number}")
        self.number = number
        self.client_id = ""
        self.acknowledged: set[str] = set()
        """Ids of the reports that it was told are counted."""
        self.task = task
        self.ballot = kind.ballot
        self._kind = kind
        self._store = folder / str(number)
        self._transport = transport

    def live(self) -> None:
        while not self.stopping.is_set():
            with self._switched_on() as participant:
                while not self.stopping.is_set() and self.random.random() > LEAVING:
                    self._take_part(participant)
                    self.pause(self._kind.pause_seconds)
            self.pause(LONGEST_ABSENCE_SECONDS)

    def _switched_on(self) -> Participant:
        """The device starts with the store that it had, and asks any process."""
        url = self.random.choice(self.task.world.aggregator_urls)
        trainer = KnownUpdate(self.ballot.body(self.number)["items"])
        return Participant(
            url,
            self.task.enrolment_key,
            self._store,
            trainer,
            seed=1,
            transport=self._transport,
            silo_key=self._kind.silo_key,
        )

    def _take_part(self, participant: Participant) -> None:
        try:
            self.client_id = participant.enrol()
            outcome = participant.contribute()
        except Unavailable:
            return
        except Rejected as refusal:
            if refusal.slug not in LATER:
                raise
            return
        if isinstance(outcome, Contributed):
            self.acknowledged.add(outcome.report_id)
