"""The life of a task, and when it is over."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from fedrec_protocol.manifest import Convergence, TaskManifest
from fedrec_protocol.messages import ModelReference, RoundKind, TaskState
from services.aggregator.domain.errors import TaskNotActive, TaskNotOver


@dataclass(frozen=True)
class Task:
    """A task; every change returns the next value."""

    id: str
    state: TaskState
    state_reason: str
    manifest: TaskManifest
    rounds_published: int
    current_version: ModelReference | None

    def paused(self, by: str) -> "Task":
        """No new round opens; the open one may finish."""
        self._require(TaskState.ACTIVE)
        return replace(self, state=TaskState.PAUSED, state_reason=f"paused by {by}")

    def resumed(self, by: str) -> "Task":
        """Rounds open again."""
        self._require(TaskState.PAUSED, TaskState.FAILED)
        return replace(self, state=TaskState.ACTIVE, state_reason=f"resumed by {by}")

    def cancelled(self, by: str) -> "Task":
        """Over, before it was done; the last published version stays the result."""
        self._require(TaskState.ACTIVE, TaskState.PAUSED, TaskState.FAILED)
        return replace(self, state=TaskState.COMPLETED, state_reason=f"cancelled by {by}")

    def completed(self, reason: str) -> "Task":
        """Over."""
        return replace(self, state=TaskState.COMPLETED, state_reason=reason)

    def deleted(self, by: str) -> "Task":
        """Nothing but its manifest and its privacy ledger is kept."""
        self.require_over()
        return replace(self, state_reason=f"deleted by {by}; its privacy ledger stays")

    def require_over(self) -> None:
        """Raise `TaskNotOver` unless no round opens any more."""
        if self.state is not TaskState.COMPLETED:
            raise TaskNotOver(f"the task is {self.state}: cancel it first")

    def failed(self, reason: str) -> "Task":
        """Cannot go on until an operator has put something right, and resumes it."""
        self._require(TaskState.ACTIVE, TaskState.PAUSED)
        return replace(self, state=TaskState.FAILED, state_reason=reason)

    def with_first_version(self, version: ModelReference) -> "Task":
        """The version that round 1 trains from is in the registry."""
        return replace(self, current_version=version)

    def advanced(self, version: ModelReference) -> "Task":
        """A training round has published a version."""
        return replace(self, current_version=version, rounds_published=self.rounds_published + 1)

    def _require(self, *states: TaskState) -> None:
        if self.state not in states:
            raise TaskNotActive(f"the task is {self.state} ({self.state_reason})")


def what_follows(task: Task, opens_at: datetime | None, now: datetime) -> str:
    """What must happen before a task whose newest round is over has another one, in words for an operator.

    Args:
        task: The task.
        opens_at: The time before which no round opens; None where it may open now.
        now: The time.
    """
    match task.state:
        case TaskState.ACTIVE if opens_at is not None and opens_at > now:
            return f"the next round opens at {opens_at:%H:%M:%S} UTC"
        case TaskState.ACTIVE:
            return "a worker opens the next round"
        case TaskState.COMPLETED:
            return f"the task is completed: {task.state_reason}"
    return f"an operator has to resume the task: {task.state_reason}"


@dataclass(frozen=True)
class Next:
    """What a task does after a round: open a round of this kind, or complete for this reason."""

    kind: RoundKind | None
    reason: str = ""


def next_step(task: Task, last_kind: RoundKind | None, history: Sequence[float]) -> Next:
    """Decide what comes after the last published round.

    Args:
        task: The task, with that round counted.
        last_kind: Kind of the last published round; None before the first.
        history: The convergence metric of each version that was measured, oldest first.
    """
    manifest = task.manifest
    if last_kind is RoundKind.EVALUATION:
        return Next(None, _reason(task, history))
    convergence = manifest.stop.convergence
    # The newest version is measured one round late: by the round that trains from it.
    is_converged = convergence is not None and has_converged(history, convergence)
    if task.rounds_published < manifest.stop.round_budget and not is_converged:
        return Next(RoundKind.TRAINING)
    if manifest.metrics and manifest.evaluate_final:
        return Next(RoundKind.EVALUATION)
    return Next(None, _reason(task, history))


def has_converged(history: Sequence[float], rule: Convergence) -> bool:
    """Whether the best value is `patience` or more measurements old.

    A value counts as better when it exceeds the best before it by more than `minimum_improvement`.
    """
    best, age = float("-inf"), 0
    for value in history:
        if value > best + rule.minimum_improvement or best == float("-inf"):
            best, age = value, 0
        else:
            age += 1
    return age >= rule.patience


def _reason(task: Task, history: Sequence[float]) -> str:
    stop = task.manifest.stop
    if stop.convergence is not None and has_converged(history, stop.convergence):
        return f"{stop.convergence.metric} has not improved for {stop.convergence.patience} rounds"
    return f"the round budget of {stop.round_budget} is used up"
