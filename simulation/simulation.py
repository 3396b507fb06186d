"""The loop: open a round, ask a cohort, add up, publish, until the task is over."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol import codec
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import RoundKind, RoundState
from fedrec_protocol.tensors import Tensors
from services.aggregator.domain.cohort import draw_cohort
from services.aggregator.domain.eligibility import why_not_eligible
from services.aggregator.domain.rounds import Round
from simulation.aggregator import Outcome, SimulatedAggregator
from simulation.arrivals import Arrivals, arrivals
from simulation.availability import AlwaysAvailable, Availability
from simulation.devices import Devices, IdealDevices, Load
from simulation.engines.engine import Engine
from simulation.engines.local import LocalEngine
from simulation.population import Population, client_id
from simulation.records import RoundRecord
from simulation.work import CohortSum, RoundWork

START = datetime(2000, 1, 1, tzinfo=UTC)
"""When every simulation begins, on its own clock."""

MOST_ABANDONED_IN_A_ROW = 100
_LONGEST_BACK_OFF = 600.0


class NobodyReports(RuntimeError):
    """So many rounds in a row were abandoned that the task would not end."""


@dataclass
class _Participation:
    """What the caps of a policy look at."""

    reports: int = 0
    last_round: int = 0


@dataclass(frozen=True)
class _Asked:
    """A cohort, and what becomes of it."""

    available: int
    cohort: int
    drawn: int | None
    """People that the server's coins fell on, reachable or not; None where it does not sample."""
    load: Load
    arrivals: Arrivals


class Simulation:
    """A federated task from its first version to its last, in this process.

    Memory does not grow with rounds or cohorts: what is kept is the newest version, the private tensors
    of people who reported, and what each person's caps need.

    Args:
        manifest: What was agreed.
        population: The people.
        engine: Where participants are computed; None means in this process.
        devices: How long they take.
        availability: When they can be asked.
        base: Parameters to start from; None initialises them as the service does.
    """

    def __init__(
        self,
        manifest: TaskManifest,
        population: Population,
        *,
        engine: Engine | None = None,
        devices: Devices | None = None,
        availability: Availability | None = None,
        base: Tensors | None = None,
    ) -> None:
        self.aggregator = SimulatedAggregator(manifest, base)
        self.private: dict[int, Tensors] = {}
        self._population = population
        self._engine = engine or LocalEngine(population)
        self._devices = devices or IdealDevices()
        self._availability = availability or AlwaysAvailable()
        self._participations: dict[int, _Participation] = {}
        self._with_examples = np.flatnonzero(population.examples > 0)
        self._now = START

    @property
    def parameters(self) -> Tensors:
        """The newest version's tensors."""
        return self.aggregator.parameters

    def private_of(self, person: int) -> Tensors:
        """What a device keeps; empty until it has reported."""
        return self.private.get(person, {})

    def run(self) -> Iterator[RoundRecord]:
        """Do one round at a time, until the task is completed.

        Raises:
            NobodyReports: a hundred rounds in a row were abandoned.
            Rejected: a device refuses to send what the server would refuse.
        """
        abandoned = 0
        while (round_ := self.aggregator.open_round(self._now)) is not None:
            record = self._round(round_)
            yield record
            abandoned = abandoned + 1 if record.state is RoundState.ABANDONED else 0
            if abandoned >= MOST_ABANDONED_IN_A_ROW:
                raise NobodyReports(f"the last {abandoned} rounds were abandoned for want of reports")
            if abandoned:
                self._now += timedelta(seconds=min(2.0 ** (abandoned - 1), _LONGEST_BACK_OFF))

    def _round(self, round_: Round) -> RoundRecord:
        started = time.perf_counter()
        work = self.aggregator.work(round_)
        asked = self._ask(round_, work)
        round_ = replace(round_, drawn=asked.drawn)
        in_time = asked.arrivals.in_time
        total = self._engine.contribute(work, in_time, _only(self.private, in_time))
        closing = round_.opened_at + timedelta(seconds=asked.arrivals.seconds)
        outcome = self.aggregator.close_round(round_, total, closing)
        self._remember(round_, total)
        self._now = outcome.round.closed_at or round_.deadline
        return self._record(outcome, asked, total.report_count, time.perf_counter() - started)

    def _ask(self, round_: Round, work: RoundWork) -> _Asked:
        policy, seed = self.aggregator.manifest.rounds, self.aggregator.manifest.seed
        candidates = {client_id(person): person for person in self._candidates(round_).tolist()}
        sampled = self.aggregator.sample([client_id(person) for person in range(len(self._population))])
        if sampled is None:
            drawn = draw_cohort(candidates, seed=seed, round_number=round_.number, places=policy.cohort_size)
        else:
            drawn = [client for client in sampled if client in candidates]
            policy = policy.model_copy(update={"aggregation_goal": max(len(sampled), 1)})
        cohort = [candidates[client] for client in drawn]
        load = self._load(work, cohort)
        return _Asked(
            available=len(candidates),
            cohort=len(cohort),
            drawn=None if sampled is None else len(sampled),
            load=load,
            arrivals=arrivals(cohort, policy, self._devices, round_.number, load),
        )

    def _candidates(self, round_: Round) -> NDArray[np.int64]:
        """People who have examples, can be asked now, and are within the policy's caps."""
        seconds = (round_.opened_at - START).total_seconds()
        people = self._with_examples[self._availability.available(self._with_examples, seconds)]
        allowed = [self._is_allowed(person, round_) for person in people.tolist()]
        return people[np.asarray(allowed, dtype=np.bool_)]

    def _is_allowed(self, person: int, round_: Round) -> bool:
        before = self._participations.get(person)
        if before is None:
            return True
        policy = self.aggregator.manifest.rounds
        return why_not_eligible(policy, round_, before.reports, before.last_round) is None

    def _load(self, work: RoundWork, cohort: list[int]) -> Load:
        is_training = work.kind is RoundKind.TRAINING
        return Load(
            examples=self._population.examples[cohort] * (work.manifest.training.epochs if is_training else 0),
            download_bytes=self.aggregator.version.size_bytes,
            upload_bytes=codec.encoded_size(work.format.body_tensors),
        )

    def _remember(self, round_: Round, total: CohortSum) -> None:
        # A device keeps what it learnt once its report is acknowledged, also when the round is abandoned later.
        self.private |= total.private
        for person in total.reported:
            participation = self._participations.setdefault(person, _Participation())
            participation.reports += 1
            participation.last_round = round_.number

    def _record(self, outcome: Outcome, asked: _Asked, reports: int, took: float) -> RoundRecord:
        version = self.aggregator.version
        return RoundRecord(
            number=outcome.round.number,
            kind=outcome.round.kind,
            state=outcome.round.state,
            version=version.number,
            digest=version.digest,
            opened_at_seconds=(outcome.round.opened_at - START).total_seconds(),
            simulated_seconds=(self._now - outcome.round.opened_at).total_seconds(),
            computing_seconds=took,
            available=asked.available,
            cohort=asked.cohort,
            dropped=asked.arrivals.dropped,
            late=asked.arrivals.late,
            reports=reports,
            weight=outcome.weight,
            bytes_down=asked.cohort * asked.load.download_bytes,
            bytes_up=reports * asked.load.upload_bytes,
            evaluated=outcome.evaluated,
            metrics=outcome.metrics,
            epsilon=self.aggregator.epsilon,
        )


def _only(privates: Mapping[int, Tensors], people: list[int]) -> dict[int, Tensors]:
    return {person: privates[person] for person in people if person in privates}
