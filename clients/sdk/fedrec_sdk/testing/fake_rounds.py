"""The fake's rounds: each opens on the newest version, collects, and ends with the next one."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import RoundKind
from fedrec_protocol.tensors import Tensors
from fedrec_sdk.testing.fake_registry import FakeRegistry
from fedrec_sdk.testing.fake_reports import AcceptedReport, mean_metrics, next_clipping_norm
from fedrec_sdk.testing.fake_round import FakeRound
from fedrec_sdk.testing.fake_secure import FakeSecureKeys, FakeSecureRound

Aggregate = Callable[[Tensors, list[AcceptedReport]], Tensors]
"""Makes the next parameters from the base parameters and the reports of a round."""


class FakeRounds:
    """The rounds of one task, oldest first. Whoever calls holds the task's lock."""

    def __init__(self, task_id: str, manifest: TaskManifest, registry: FakeRegistry, aggregate: Aggregate) -> None:
        self.every: list[FakeRound] = []
        self.secure_keys = FakeSecureKeys()
        self._task_id = task_id
        self._manifest = manifest
        self._registry = registry
        self._aggregate = aggregate
        self._is_final_measured = False
        clipping = manifest.adaptive_clipping
        self._clipping_norm = None if clipping is None else clipping.initial_norm

    @property
    def open(self) -> FakeRound | None:
        """The round that collects reports, if there is one."""
        return self.every[-1] if self.every and self.every[-1].is_open else None

    def open_next(self) -> None:
        """Open the next round, if the task has one left."""
        published = len(self._registry.versions) - 1
        base = self._registry.versions[-1]
        if published < self._manifest.stop.round_budget:
            kind = RoundKind.TRAINING
        elif self._manifest.evaluate_final and self._manifest.metrics and not self._is_final_measured:
            kind = RoundKind.EVALUATION
        else:
            return
        deadline = datetime.now(UTC) + timedelta(seconds=self._manifest.rounds.deadline_seconds)
        number = len(self.every) + 1
        secure = None
        if self._manifest.secure_aggregation is not None:
            secure = FakeSecureRound(
                self.secure_keys, self._manifest, kind, task_id=self._task_id, number=number, base_digest=base.digest
            )
        norm = self._clipping_norm if kind is RoundKind.TRAINING else None
        self.every.append(FakeRound(number, kind, base, deadline, norm, secure=secure))

    def count(self, round_: FakeRound, report: AcceptedReport) -> None:
        """Count a plain report; the one that meets the goal closes the round."""
        round_.reports.append(report)
        if len(round_.reports) >= self._manifest.rounds.aggregation_goal:
            self.close(round_)

    def close_if_unmasked(self, round_: FakeRound) -> None:
        """Close a secure round whose sum is there, or never will be."""
        secure = round_.secure
        if secure is None or not round_.is_open:
            return
        if secure.sum is not None:
            round_.reports.append(secure.sum)
        if secure.sum is not None or secure.abandoned:
            self.close(round_)

    def close(self, round_: FakeRound) -> None:
        """End a round: with a version or a measurement, if enough reports were counted."""
        round_.is_open = False
        # A secure round has one report, the mean of everybody's, or none where it was abandoned.
        counted = len(round_.receipts) if round_.reports else 0
        if counted >= self._manifest.rounds.minimum_reports:
            self._clipping_norm = next_clipping_norm(self._manifest, round_.clipping_norm, round_.reports)
            round_.base.metrics = mean_metrics(self._manifest.metrics, round_.reports)
            if round_.kind is RoundKind.EVALUATION:
                self._is_final_measured = True
            else:
                self._registry.publish(self._next_parameters(round_), round_.number)

    def _next_parameters(self, round_: FakeRound) -> Tensors:
        made, floor = self._aggregate(round_.base.tensors, round_.reports), self._manifest.popularity_floor
        if floor is None:
            return made
        return floor.publish(made, round_.base.tensors, self._manifest.rounds.aggregation_goal)
