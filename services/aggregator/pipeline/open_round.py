"""Open the next round of a task, or complete it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import Connection

from fedrec_protocol.messages import RoundKind, RoundState, TaskState
from fedrec_protocol.noise.random_bits import RandomBits
from fedrec_protocol.secagg.of_task import round_deadlines
from services.aggregator.domain import sealing
from services.aggregator.domain.privacy.ledger import BudgetExceeded
from services.aggregator.domain.privacy.poisson import CohortTooLarge, draw_all
from services.aggregator.domain.privacy.task import NoisyRound, charge_for
from services.aggregator.domain.rounds import Round
from services.aggregator.domain.tasks import Next, Task, next_step
from services.aggregator.pipeline.about import about
from services.aggregator.pipeline.context import Context
from services.aggregator.pipeline.erase_memory import erase_memory
from services.aggregator.pipeline.secure.open import open_secure
from services.aggregator.storage import assignments, ledgers, notifications, rounds, tasks
from services.kit.ids import new_id

log = structlog.get_logger(__name__)

_ENROLMENT_PAUSE = timedelta(seconds=5)


class TooFewEnrolled(Exception):
    """Not enough participants are enrolled for a round of those the server draws."""


def open_round(context: Context, task_id: str) -> Round | None:
    """Open the next round unless one is under way; None when none was opened."""

    def step(tx: Connection) -> Round | None:
        task = tasks.get(tx, task_id, lock=True)
        current = rounds.current(tx, task_id)
        return None if current is not None and current.is_under_way else advance(tx, context, task)

    return context.db.run("open_round", step)


def advance(tx: Connection, context: Context, task: Task) -> Round | None:
    """Open the next round of a locked task that has none under way, or complete the task."""
    if task.state is TaskState.COMPLETED:  # cancelled while its last round was being finished
        erase_memory(tx, context, task)
    if task.state is not TaskState.ACTIVE or task.current_version is None:
        return None
    following = _next(tx, task)
    opened = None if following.kind is None else _following(tx, context, task, following.kind)
    overspent = None if opened is None else _overspent(tx, task, opened)
    if opened is None or overspent is not None:
        used_up = f"the privacy budget is used up: {overspent}"
        _complete(tx, context, task, following.reason if overspent is None else used_up)
        return None
    return _open(tx, context, task, opened)


def _next(tx: Connection, task: Task) -> Next:
    convergence = task.manifest.stop.convergence
    history = rounds.metric_history(tx, task.id, convergence.metric) if convergence else []
    return next_step(task, rounds.last_published_kind(tx, task.id), history)


def _complete(tx: Connection, context: Context, task: Task, reason: str) -> None:
    tasks.save(tx, task.completed(reason))
    erase_memory(tx, context, task)
    notifications.notify(tx, notifications.ROUNDS, task.id)
    log.info("task completed", task_id=task.id, reason=reason)


def _open(tx: Connection, context: Context, task: Task, opened: Round) -> Round | None:
    """Store the round with its cohort, where the server draws; None where that must wait, or has failed."""
    try:
        cohort = _drawn(tx, task)
    except TooFewEnrolled:
        tasks.retry_at(tx, task.id, context.now() + _ENROLMENT_PAUSE)
        return None
    except CohortTooLarge as error:
        tasks.save(tx, task.failed(str(error)))
        log.error("task failed", task_id=task.id, reason=str(error))
        return None
    if cohort is not None:
        opened = replace(opened, drawn=len(cohort))
    wrapped = sealing.wrap(sealing.new_round_key(), context.deployment_keys[0], opened.id)
    rounds.insert_round(tx, opened, wrapped)
    if cohort is not None:
        places = [(new_id("asg"), client_id) for client_id in cohort]
        assignments.insert_many(tx, places, opened.id, opened.opened_at, opened.deadline)
    if task.manifest.secure_aggregation is not None:
        open_secure(tx, context, task.manifest, opened)
    notifications.notify(tx, notifications.ROUNDS, task.id)
    log.info("round opened", **about(opened), kind=opened.kind)
    return opened


def _following(tx: Connection, context: Context, task: Task, kind: RoundKind) -> Round:
    """The round that would be opened now."""
    manifest, now = task.manifest, context.now()
    deadline = now + timedelta(seconds=manifest.rounds.deadline_seconds)
    if manifest.secure_aggregation is not None:
        deadline = datetime.fromtimestamp(round_deadlines(manifest, now).report, UTC)
    if task.current_version is None:
        raise RuntimeError(f"task {task.id} has no version to train from")
    return Round(
        id=new_id("rnd"),
        task_id=task.id,
        number=rounds.next_number(tx, task.id),
        kind=kind,
        state=RoundState.COLLECTING,
        base=task.current_version,
        opened_at=now,
        deadline=deadline,
        clipping_norm=_clipping_norm(tx, task),
    )


def _drawn(tx: Connection, task: Task) -> list[str] | None:
    """Whom the server's coins fall on, of everybody who is enrolled now; None where it does not sample.

    Raises:
        TooFewEnrolled: fewer would be drawn, on average, than a round needs.
        CohortTooLarge: a round has no room for those who might be drawn.
    """
    sampling = task.manifest.sampling
    if sampling is None:
        return None
    enrolled = assignments.enrolled(tx, task.id)
    room, probability = task.manifest.rounds.maximum_reports, sampling.probability
    if len(enrolled) * probability < task.manifest.rounds.minimum_reports:
        raise TooFewEnrolled
    return draw_all(enrolled, probability, room, RandomBits.from_operating_system())


def _clipping_norm(tx: Connection, task: Task) -> float | None:
    """The norm that clipping has come to, where it is adaptive."""
    clipping = task.manifest.adaptive_clipping
    return None if clipping is None else rounds.next_clipping_norm(tx, task.id) or clipping.initial_norm


def _overspent(tx: Connection, task: Task, opened: Round) -> str | None:
    """Why the privacy budget has no room for a round; None where it has, or where there is none."""
    policy = task.manifest.privacy
    if policy is None:
        return None
    ledger = ledgers.find(tx, task.manifest.model)
    if ledger is None:
        return "the ledger is missing"
    try:
        ledger.require_room_for(charge_for(NoisyRound.of(task, policy, opened), "next"))
    except BudgetExceeded as error:
        return str(error)
    return None
