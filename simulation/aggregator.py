"""The aggregator of a simulation: a task, its parameters and its rounds, in memory."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from fedrec_protocol import codec
from fedrec_protocol.initialise import initial_parameters
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import ModelReference, RoundKind, RoundState, TaskState
from fedrec_protocol.tensors import Tensors
from services.aggregator.domain.aggregation import catalogue
from services.aggregator.domain.aggregation.rule import RoundSum, Step, Totals
from services.aggregator.domain.errors import InvalidManifest
from services.aggregator.domain.kernels import Accumulator
from services.aggregator.domain.layout import Layout
from services.aggregator.domain.measured import Measured
from services.aggregator.domain.rounds import Round
from services.aggregator.domain.runnable import check_has_base, check_runnable
from services.aggregator.domain.tasks import Next, Task, next_step
from simulation.privacy import SimulatedPrivacy
from simulation.work import CohortSum, RoundWork


@dataclass(frozen=True)
class Outcome:
    """What came of a round."""

    round: Round
    """The round at its end: published or abandoned."""
    weight: int
    """Total weight of the reports; 0 when it was abandoned."""
    evaluated: int
    """Evaluations behind the metrics."""
    metrics: dict[str, float]
    """Means of the metrics, of the version that the round started from."""


class SimulatedAggregator:
    """Opens rounds and turns their sums into versions, with the service's own rules and lives.

    Args:
        manifest: What was agreed.
        base: Parameters to start from; None initialises them as the service does.

    Raises:
        InvalidManifest: what the service would refuse to run, or a privacy budget without room for a round.
    """

    def __init__(self, manifest: TaskManifest, base: Tensors | None = None) -> None:
        check_runnable(manifest)
        if base is None:
            check_has_base(manifest)
        self._privacy = None if manifest.privacy is None else SimulatedPrivacy(manifest, manifest.privacy)
        self.parameters = initial_parameters(manifest.shared, manifest.seed) if base is None else base
        first = _version(manifest.model, 0, self.parameters)
        self.task = Task("simulation", TaskState.ACTIVE, "created", manifest, 0, first)
        self._rule_state: Tensors = {}
        self._metric_history: list[float] = []
        self._last_kind: RoundKind | None = None
        self._rounds_opened = 0
        overspent = self._overspent(self._following(RoundKind.TRAINING, datetime.fromtimestamp(0, UTC)))
        if overspent is not None:
            raise InvalidManifest(f"the budget has no room for one round: {overspent}")

    @property
    def manifest(self) -> TaskManifest:
        """What was agreed."""
        return self.task.manifest

    @property
    def epsilon(self) -> float | None:
        """User-level epsilon spent so far; None where the task has no privacy mechanism."""
        return None if self._privacy is None else self._privacy.epsilon

    @property
    def clipping_norm(self) -> float | None:
        """The norm that clipping has come to, where it is adaptive."""
        return None if self._privacy is None else self._privacy.clipping_norm

    @property
    def version(self) -> ModelReference:
        """The newest version; its digest is the one that a registry would give it."""
        if self.task.current_version is None:
            raise ValueError("the task has no version")
        return self.task.current_version

    def open_round(self, now: datetime) -> Round | None:
        """The next round, or None when the task is completed."""
        following = next_step(self.task, self._last_kind, self._metric_history)
        opened = None if following.kind is None else self._following(following.kind, now)
        overspent = None if opened is None else self._overspent(opened)
        if overspent is not None:
            following = Next(None, f"the privacy budget is used up: {overspent}")
        if opened is None or overspent is not None:
            self.task = self.task.completed(following.reason)
            return None
        self._rounds_opened += 1
        return opened

    def _following(self, kind: RoundKind, now: datetime) -> Round:
        number = self._rounds_opened + 1
        return Round(
            id=f"round-{number}",
            task_id=self.task.id,
            number=number,
            kind=kind,
            state=RoundState.COLLECTING,
            base=self.version,
            opened_at=now,
            deadline=now + timedelta(seconds=self.manifest.rounds.deadline_seconds),
            clipping_norm=self.clipping_norm,
        )

    def sample(self, enrolled: Sequence[str]) -> list[str] | None:
        """On whom of all enrolled people the server's coins fall; None where it does not sample."""
        return None if self._privacy is None else self._privacy.sample(enrolled)

    def work(self, round_: Round) -> RoundWork:
        """What the cohort of a round is asked to do."""
        return RoundWork(self.manifest, round_.kind, round_.number, self.parameters, round_.clipping_norm)

    def close_round(self, round_: Round, total: CohortSum, now: datetime) -> Outcome:
        """Close a round at the goal or at its deadline, whichever the reports allow, and publish or abandon it."""
        policy = self.manifest.rounds
        closed = round_.due(policy, total.report_count, now) or round_.due(policy, total.report_count, round_.deadline)
        if closed is None or closed.state is RoundState.ABANDONED:
            return Outcome(closed or round_, 0, 0, {})
        layout = self.work(round_).layout
        vector = total.vector
        if self._privacy is not None:
            vector = self._privacy.release(self.task, round_, total, layout)
        step = self._step(vector, total.report_count, layout) if round_.kind is RoundKind.TRAINING else None
        if step is not None and not _is_finite(step):
            return Outcome(round_.abandoned("the parameters would not be finite", now), 0, 0, {})
        if self._privacy is not None:
            self._privacy.charge(self.task, round_)
        if step is not None:
            self._publish(step)
        measured = Measured.of(vector, layout, step)
        self._last_kind = round_.kind
        convergence = self.manifest.stop.convergence
        if convergence is not None and measured.evaluated:
            self._metric_history.append(measured.metrics[convergence.metric])
        return Outcome(closed.published(), int(vector[layout.weight]), measured.evaluated, measured.metrics)

    def _overspent(self, round_: Round) -> str | None:
        return None if self._privacy is None else self._privacy.why_no_room(self.task, round_)

    def _step(self, vector: Accumulator, report_count: int, layout: Layout) -> Step:
        total = RoundSum(Totals(vector, layout), int(vector[layout.weight]), report_count)
        return catalogue.step_of_task(self.manifest, self.parameters, total, self._rule_state)

    def _publish(self, step: Step) -> None:
        if step.parameters is None:
            self.task = self.task.advanced(self.version)
            return
        self.parameters, self._rule_state = step.parameters, step.state
        self.task = self.task.advanced(_version(self.manifest.model, self.version.number + 1, step.parameters))


def _is_finite(step: Step) -> bool:
    return all(np.isfinite(values).all() for values in (step.parameters or {}).values())


def _version(model: str, number: int, parameters: Tensors) -> ModelReference:
    weights = codec.encode(parameters)
    return ModelReference(
        model=model,
        version_id=f"version-{number}",
        number=number,
        digest=hashlib.sha256(weights).hexdigest(),
        size_bytes=len(weights),
        url="",
    )
