"""One contribution: check in, download, evaluate, train, report. Each step can be repeated after a crash."""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, partial

from fedrec_protocol import codec, messages
from fedrec_protocol.manifest import RecipeChoice, TaskManifest
from fedrec_protocol.messages import Assignment, NotSelectedReason, RoundKind
from fedrec_protocol.noise.random_bits import RandomBits
from fedrec_protocol.privacy import LocalPrivacy
from fedrec_protocol.problems import Slug
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.metrics import UnknownMetric
from fedrec_recipes.recipe import History
from fedrec_recipes.seeding import SEED_BYTES, training_generator
from fedrec_sdk.agreed_task import AgreedTask
from fedrec_sdk.credentials import Credentials
from fedrec_sdk.errors import Rejected, rejected_here
from fedrec_sdk.evaluation import NOTHING_EVALUATED, Evaluation
from fedrec_sdk.identity import device_key
from fedrec_sdk.models import Models
from fedrec_sdk.outcomes import Contributed, NothingToTrain, NotSelected, Outcome, TaskEnded, TooLate
from fedrec_sdk.report import evaluation_report, training_report
from fedrec_sdk.secure_contribution import Demands, SecureContribution
from fedrec_sdk.secure_report import masked_vector
from fedrec_sdk.session import Session
from fedrec_sdk.silo.contribution import SiloContribution
from fedrec_sdk.silo.key import read_silo_key
from fedrec_sdk.store import LocalStore
from fedrec_sdk.store.outbox import PendingReport
from fedrec_sdk.store.secure_rounds import PendingSecureRound
from fedrec_sdk.trainer import Trainer

log = logging.getLogger(__name__)

IDLE = timedelta(minutes=15)
"""How long a device without examples waits before it looks again."""

_TOO_LATE = frozenset({Slug.ROUND_CLOSED, Slug.ASSIGNMENT_EXPIRED, Slug.UNKNOWN_ASSIGNMENT, Slug.TASK_NOT_ACTIVE})
"""What a server says to a report that comes after its round; it may have forgotten an old assignment."""
_WHO_ARE_YOU = frozenset({401, 403})


@dataclass(frozen=True)
class Contributor:
    """What a contribution needs."""

    store: LocalStore
    credentials: Credentials
    session: Session
    task: AgreedTask
    models: Models
    trainer: Callable[[RecipeChoice], Trainer]
    """The trainer of a manifest's recipe."""
    given_seed: int | None
    """The participant's seed; None takes the one in the store, drawn when it is first needed."""
    kinds: tuple[RoundKind, ...]
    """Kinds of round it takes part in."""
    demands: Demands
    """What the app asks of the task."""
    silo_key: str | os.PathLike[str] | None
    """The file of the silos' key, where the participant is one."""

    @cached_property
    def secure(self) -> SecureContribution:
        """Takes part in secure rounds."""
        return SecureContribution(self.store, self.session, self.demands, partial(device_key, self.store.values))

    @cached_property
    def silo(self) -> SiloContribution:
        """Takes part in rounds of encrypted reports."""
        return SiloContribution(
            self.store,
            self.session,
            read_key=None if self.silo_key is None else partial(read_silo_key, self.silo_key),
            client_id=lambda: self.credentials.identity().client_id,
            minimum_cohort=self.demands.minimum_cohort,
        )

    @property
    def seed(self) -> int:
        """From 0 to 2**64 - 1."""
        if self.given_seed is not None:
            return self.given_seed
        return int.from_bytes(self.store.values.get_or_put("seed", os.urandom(SEED_BYTES)), "little")

    def contribute(self, hold_seconds: float) -> Outcome:
        """Deliver the report that is still pending, or else do one round.

        Raises:
            Unavailable: it stopped half-way; calling again goes on from there.
            Rejected: the server, or this device, refused; a refused report is dropped.
        """
        manifest = self.task.current().manifest
        self._require(manifest)
        finished = self._carry_on(manifest, hold_seconds)
        if finished is not None:
            return finished
        history = self.store.interactions.history()
        if self.trainer(manifest.recipe).count_examples(history) == 0:
            return NothingToTrain(IDLE)
        assignment = self._assignment(hold_seconds)
        if not isinstance(assignment, Assignment):
            return assignment
        report = self._prepare(assignment, history)
        if report is None:
            return NothingToTrain(IDLE)
        manifest = self.task.with_manifest(assignment.manifest_digest).manifest
        if manifest.opaque is not None:
            self._begin_opaque(manifest, assignment, report)
            return self._in_phases(manifest, hold_seconds)
        # Nobody is trusted with a report of local privacy: the server has seen it once it is sent, counted or not.
        self.store.outbox.put(report, is_seen=isinstance(manifest.privacy, LocalPrivacy))
        return self._deliver(report)

    def _assignment(self, hold_seconds: float) -> Assignment | Outcome:
        """What the server asks for; or why there is nothing to do."""
        answer = self.session.check_in(self.kinds, hold_seconds)
        if isinstance(answer, messages.NotSelected):
            return _not_selected(answer)
        return self._too_often(answer.assignment) or answer.assignment

    def _too_often(self, assignment: Assignment) -> NotSelected | None:
        """Refuse more rounds than the manifest allows, also where the server asks: a promise of privacy rests on it."""
        rounds = self.task.with_manifest(assignment.manifest_digest).manifest.rounds
        before = self.store.participations.of_task(assignment.task_id)
        if rounds.maximum_participations is not None and len(before) >= rounds.maximum_participations:
            reason = NotSelectedReason.PARTICIPATION_CAP
        elif before and assignment.round_number - before[-1] < rounds.minimum_separation:
            reason = NotSelectedReason.TOO_SOON
        else:
            return None
        log.warning("round %d: refused, the server asks more often than the task allows", assignment.round_number)
        return NotSelected(IDLE, reason, "this device has taken part as often as the task allows: it refuses more")

    def _carry_on(self, manifest: TaskManifest, hold_seconds: float) -> Outcome | None:
        """Go on with what an earlier call has begun; None when there is nothing."""
        task_id = self.credentials.identity().task_id
        pending = self.store.outbox.pending()
        if pending is not None:
            if pending.task_id == task_id:
                return self._deliver(pending)
            self.store.outbox.discard()  # it belongs to a task that this app has left
        secure = self.store.secure_rounds.pending()
        if secure is not None:
            if secure.task_id == task_id:
                return self._in_phases(manifest, hold_seconds)
            self.store.secure_rounds.discard()
        return None

    def _require(self, manifest: TaskManifest) -> None:
        """Refuse a task that this app, or this silo's key, does not allow."""
        self.demands.require(manifest)
        self.silo.require(manifest)

    def _in_phases(self, manifest: TaskManifest, hold_seconds: float) -> Outcome:
        """Go on with the round in the store, whose reports the server cannot read."""
        phased = self.secure if manifest.homomorphic_encryption is None else self.silo
        return phased.proceed(manifest, hold_seconds)

    def _begin_opaque(self, manifest: TaskManifest, assignment: Assignment, report: PendingReport) -> None:
        """Keep what was trained as the integers that will be masked or encrypted; nothing of it is sent as it is."""
        base = self.models.base(assignment.base, manifest.shared)
        self.store.secure_rounds.begin(
            PendingSecureRound(
                task_id=report.task_id,
                assignment_id=report.assignment_id,
                base_version_id=report.base_version_id,
                base_digest=assignment.base.digest,
                round_number=report.round_number,
                kind=report.kind,
                vector=masked_vector(manifest, report.kind, report.body, base, RandomBits.from_operating_system())
                .astype("<i8")
                .tobytes(),
                private=report.private,
            )
        )

    def _prepare(self, assignment: Assignment, history: History) -> PendingReport | None:
        """Evaluate and train; None when training found no example."""
        started = time.monotonic()
        manifest = self.task.with_manifest(assignment.manifest_digest).manifest
        self._require(manifest)
        base = self.models.base(assignment.base, manifest.shared)
        private = self.store.outbox.private_tensors(assignment.task_id)
        evaluation = self._evaluate(manifest, base, private, history)
        if assignment.kind is RoundKind.EVALUATION:
            body, changed = evaluation_report(manifest, evaluation), private
        else:
            trainer = self.trainer(manifest.recipe)
            generator = training_generator(self.seed, assignment.round_number)
            result = trainer.train(base, private, history, assignment.training, generator)
            if result.examples == 0:
                return None
            body = training_report(
                manifest,
                result,
                trainer.content,
                base,
                evaluation,
                clipping_norm=assignment.clipping_norm,
                bits=RandomBits.from_operating_system(),
            )
            changed = result.private
        log.info("round %d: prepared in %.2f s", assignment.round_number, time.monotonic() - started)
        return PendingReport(
            task_id=assignment.task_id,
            assignment_id=assignment.assignment_id,
            base_version_id=assignment.base.version_id,
            round_number=assignment.round_number,
            kind=assignment.kind,
            body=body,
            private=codec.encode({**private, **changed}),
        )

    def _evaluate(self, manifest: TaskManifest, base: Tensors, private: Tensors, history: History) -> Evaluation:
        if not manifest.metrics:
            return NOTHING_EVALUATED
        try:
            return self.trainer(manifest.recipe).evaluate(base, private, history, manifest.metrics)
        except UnknownMetric as error:
            raise rejected_here(Slug.INVALID_MANIFEST, f"this participant cannot measure it: {error}") from error

    def _deliver(self, report: PendingReport) -> Outcome:
        try:
            receipt = self.session.report(report.assignment_id, report.base_version_id, report.body)
        except Rejected as refusal:
            if refusal.problem.status in _WHO_ARE_YOU:
                raise  # the report may be fine: it stays for when the credentials are
            self.store.outbox.discard()
            if refusal.slug not in _TOO_LATE:
                raise
            log.info("round %d: too late (%s)", report.round_number, refusal.slug)
            return TooLate(report.round_number, refusal.slug)
        self.store.outbox.acknowledge(report)
        log.info("round %d: counted as report %s", report.round_number, receipt.report_id)
        return Contributed(receipt.report_id, report.round_number, report.kind)


def _not_selected(answer: messages.NotSelected) -> Outcome:
    if answer.reason is NotSelectedReason.TASK_ENDED:
        return TaskEnded(answer.detail)
    return NotSelected(timedelta(seconds=answer.retry_after_seconds), answer.reason, answer.detail)
