"""Participants of masked rounds: the SDK as it is, on devices that are switched off and on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fedrec_protocol.problems import Slug
from fedrec_protocol.secagg.descriptor import HARD_FLOOR
from fedrec_sdk import Contributed, Participant, Rejected, Unavailable
from fedrec_sdk.transport import Transport
from services.kit.clock import Clock
from tests.integration.aggregator.cohort import KnownUpdate
from tests.integration.aggregator.deployment import Task
from tests.integration.aggregator.powers import power_of_two, powers_task
from tests.soak.crowd import Person

PEOPLE = HARD_FLOOR + 1
PHASE_SECONDS = 6.0
PAUSE_SECONDS = 0.3
LEAVING = 0.02
"""How often a device is switched off, wherever its round stands."""
LONGEST_ABSENCE_SECONDS = 3.0
LATER = frozenset({Slug.CREDENTIAL_EXPIRED, Slug.UNAUTHENTICATED})
"""A clock jumped between a token and its use."""


def secure_task(**rounds: Any) -> dict[str, Any]:
    """A task of masked powers of two, whose rounds may lose one participant."""
    phases = dict.fromkeys(("share_seconds", "report_seconds", "acknowledge_seconds", "reveal_seconds"), PHASE_SECONDS)
    terms = {"modulus_bits": 64, "value_bits": 50, "minimum_cohort": HARD_FLOOR}
    return powers_task(goal=PEOPLE, **rounds) | {"secure_aggregation": terms | phases}


class SoakTransport(Transport):
    """Connections of devices that go by the deployment's clock."""

    def __init__(self, clock: Clock, *, timeout: float) -> None:
        super().__init__(attempts=2, timeout=timeout, longest_wait=0.5, maximum_connections=PEOPLE)
        self._clock = clock

    def server_time(self, url: str) -> float:
        return self._clock.now().timestamp()


class SecureMember(Person):
    """One participant, whose update is the same power of two in every round."""

    def __init__(self, task: Task, number: int, folder: Path, transport: Transport, seed: str) -> None:
        super().__init__(f"{seed}.{number}")
        self.number = number
        self.client_id = ""
        self.acknowledged: set[str] = set()
        """Ids of the reports that it was told are counted."""
        self.task = task
        self._store = folder / str(number)
        self._transport = transport

    def live(self) -> None:
        while not self.stopping.is_set():
            with self._switched_on() as participant:
                while not self.stopping.is_set() and self.random.random() > LEAVING:
                    self._take_part(participant)
                    self.pause(PAUSE_SECONDS)
            self.pause(LONGEST_ABSENCE_SECONDS)

    def _switched_on(self) -> Participant:
        """The device starts with the store that it had, and asks any process."""
        url = self.random.choice(self.task.world.aggregator_urls)
        trainer = KnownUpdate(power_of_two(self.number)["items"])
        return Participant(url, self.task.enrolment_key, self._store, trainer, seed=1, transport=self._transport)

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
