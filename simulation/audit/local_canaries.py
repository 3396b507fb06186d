"""Canaries of local privacy: each report is protected by itself, so each is attacked by itself.

A coin decides for each canary whether it reports the clipping norm or its opposite, the two reports that lie
furthest apart. The auditor is the server: it has every report as the device sent it.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fedrec_protocol import codec
from fedrec_protocol.initialise import initial_parameters
from fedrec_protocol.messages import RoundKind
from fedrec_protocol.noise.random_bits import RandomBits
from fedrec_protocol.privacy import LocalPrivacy
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.recipe import History
from fedrec_sdk.evaluation import NOTHING_EVALUATED
from fedrec_sdk.report import training_report
from services.aggregator.domain.privacy.task import NoisyRound, charge_for, new_ledger
from simulation.audit.canaries import JUST_BELOW, CanaryFigures, CanaryTrainer
from simulation.audit.modes import Central, policy
from simulation.audit.task import AuditedTask

_COORDINATE = 0
"""Of every canary: nobody else's report is added to its own."""


@dataclass(frozen=True)
class Local(Central):
    """Every device adds the noise of a whole report."""

    name: ClassVar[str] = "local"

    def changes(self, *, people: int, clipping_norm: float, target_delta: float) -> dict[str, Any]:
        return {"privacy": policy(self.noise_multiplier, target_delta, mechanism="local")}


def audit_local_canaries(task: AuditedTask, mode: Local, *, canaries: int, confidence: float) -> CanaryFigures:
    """Let every canary report in every round, and guess which of its two reports it meant."""
    generator = np.random.Generator(np.random.Philox(key=task.seed))
    is_positive = generator.random(canaries) < 0.5
    manifest = task.manifest(canaries, mode)
    base = initial_parameters(manifest.shared, manifest.seed)
    bits, norm = RandomBits(task.seed.to_bytes(32, "little")), JUST_BELOW * task.clipping_norm
    scores = np.zeros(canaries)
    for canary, sign in enumerate(np.where(is_positive, 1.0, -1.0).tolist()):
        trainer = CanaryTrainer(manifest.report_tensors, _COORDINATE, sign * norm)
        result = trainer.train(base, {}, History(np.zeros(0, np.int64)), manifest.training, generator)
        for _ in range(task.rounds):
            body = training_report(manifest, result, trainer.content, base, NOTHING_EVALUATED, bits=bits)
            scores[canary] += _first_value(codec.decode(body), manifest.report_tensors[0].name)
    return CanaryFigures.of(
        mode, scores, is_positive, ledger_epsilon=_charged(task, mode), delta=task.target_delta, confidence=confidence
    )


def _first_value(report: Tensors, name: str) -> float:
    return float(report[name].reshape(-1)[_COORDINATE])


def _charged(task: AuditedTask, mode: Local) -> float:
    """What the service's ledger says after the task's rounds."""
    manifest = task.manifest(1, mode)
    promise = manifest.privacy
    if not isinstance(promise, LocalPrivacy):
        raise TypeError("the task has no local privacy")
    ledger = new_ledger(manifest, promise)
    for number in range(1, task.rounds + 1):
        round_ = NoisyRound(manifest, promise, RoundKind.TRAINING, number, number - 1, manifest.report.maximum_norm)
        ledger = ledger.with_charge(charge_for(round_, f"round-{number}"))
    return ledger.spent
