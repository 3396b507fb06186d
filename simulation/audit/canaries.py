"""Canaries: participants whose reports are as long as a report may be, and like nobody else's.

Each adds the clipping norm to one coordinate of its own, in every round: the worst case that the ledger prices. The
auditor knows everything but who of them takes part: the versions, the noise multiplier, everybody else's data.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.manifest import ReportContent, TrainingPlan
from fedrec_protocol.tensors import Tensors, TensorSpec
from fedrec_recipes.recipe import History, LocalResult
from fedrec_sdk.evaluation import NOTHING_EVALUATED, Evaluation
from fedrec_sdk.trainer import Trainer
from simulation.audit.one_run import epsilon_lower_bound, guesses_for, right_guesses
from simulation.audit.task import AuditedTask, PublishedRound, published_rounds
from simulation.engines.local import LocalEngine
from simulation.population import Population

_CERTAIN = 20.0
"""Standard deviations at which no guess is wrong."""
_JUST_BELOW = 1.0 - 2.0**-20
"""A report of exactly the bound may be longer than it in float32, and would be scaled down."""


@dataclass(frozen=True)
class CanaryTrainer:
    """Reports the clipping norm at one coordinate, whatever it is given."""

    specs: tuple[TensorSpec, ...]
    coordinate: int
    """Of the flat report."""
    norm: float

    @property
    def content(self) -> ReportContent:
        """A delta."""
        return ReportContent.DELTA

    def count_examples(self, history: History) -> int:
        """One: it always takes part."""
        return 1

    def train(
        self, shared: Tensors, private: Tensors, history: History, plan: TrainingPlan, generator: np.random.Generator
    ) -> LocalResult:
        """The canary's report."""
        vector = np.zeros(sum(spec.element_count for spec in self.specs), np.float32)
        vector[self.coordinate] = self.norm
        ends = np.cumsum([spec.element_count for spec in self.specs])
        parts = zip(self.specs, np.split(vector, ends[:-1]), strict=True)
        return LocalResult({spec.name: part.reshape(spec.shape) for spec, part in parts}, 1)

    def evaluate(self, shared: Tensors, private: Tensors, history: History, metrics: tuple[str, ...]) -> Evaluation:
        """A canary has nothing to measure."""
        return NOTHING_EVALUATED


@dataclass(frozen=True)
class CanaryFigures:
    """What the canaries of one training tell."""

    noise_multiplier: float | None
    """None: no noise was added."""
    ledger_epsilon: float | None
    """What the ledger charged for it; None: no epsilon holds."""
    epsilon_lower_bound: float
    """At least this much was spent, with the stated confidence."""
    confidence: float
    epsilon_estimate: float | None
    """If scores are Gaussian (Andrew et al. 2023, https://arxiv.org/abs/2302.03098): no bound, but close to the ledger
    where the noise is what it should be. None without noise."""
    delta: float
    canaries: int
    guesses: int
    right_guesses: int

    @property
    def refutes_the_ledger(self) -> bool:
        """Whether more was spent than the ledger says."""
        return self.ledger_epsilon is not None and self.epsilon_lower_bound > self.ledger_epsilon


def audit_canaries(
    task: AuditedTask, people: Population, *, noise_multiplier: float | None, canaries: int, confidence: float
) -> CanaryFigures:
    """Train once with half of the canaries among the people, and guess which half.

    Args:
        task: What is audited.
        people: Who takes part besides.
        noise_multiplier: Of the training; None for none.
        canaries: m, at most the parameters of the model.
        confidence: Of the lower bound.

    Raises:
        ValueError: more canaries than parameters.
    """
    generator = np.random.Generator(np.random.Philox(key=task.seed))
    is_included = generator.random(canaries) < 0.5
    joined = len(people) + int(is_included.sum())
    manifest = task.manifest(joined, noise_multiplier)
    size = sum(spec.element_count for spec in manifest.report_tensors)
    if canaries > size:
        raise ValueError(f"{canaries} canaries need as many parameters, and the model has {size}")
    coordinates = generator.choice(size, size=canaries, replace=False)
    norm = _JUST_BELOW * task.clipping_norm
    trainers = [CanaryTrainer(manifest.report_tensors, place, norm) for place in coordinates[is_included].tolist()]
    known = _KnownPeople(people)
    scores, ledger_epsilon = np.zeros(canaries), None
    for published in published_rounds(manifest, _among(people, trainers)):
        scores += (published.sum - known.sum_of(published))[coordinates]
        ledger_epsilon = published.epsilon
    separation = _separation(noise_multiplier, task.rounds)
    guesses = guesses_for(canaries, separation, delta=task.target_delta, confidence=confidence)
    right = right_guesses(scores, is_included, guesses)
    return CanaryFigures(
        noise_multiplier=noise_multiplier,
        ledger_epsilon=ledger_epsilon,
        epsilon_lower_bound=epsilon_lower_bound(
            canaries=canaries, guesses=guesses, right=right, delta=task.target_delta, confidence=confidence
        ),
        confidence=confidence,
        epsilon_estimate=None if noise_multiplier is None else _estimate(scores, is_included, task.target_delta),
        delta=task.target_delta,
        canaries=canaries,
        guesses=guesses,
        right_guesses=right,
    )


def _among(people: Population, canaries: list[CanaryTrainer]) -> Population:
    """The people, and behind them the canaries that take part."""

    def trainer_of(person: int) -> Trainer:
        return people.trainer_of(person) if person < len(people) else canaries[person - len(people)]

    nothing = History(np.zeros(0, np.int64))
    return Population([*people.histories, *(nothing for _ in canaries)], trainer_of, people.seed)


class _KnownPeople:
    """Everybody but the canaries: the auditor is assumed to know what they report."""

    def __init__(self, people: Population) -> None:
        self._engine, self._everybody = LocalEngine(people), range(len(people))
        self._private: dict[int, Tensors] = {}

    def sum_of(self, published: PublishedRound) -> NDArray[np.float64]:
        """The sum of their reports in a round, shape (d,); rounds come in order."""
        layout = published.work.layout
        total = self._engine.contribute(published.work, self._everybody, self._private)
        self._private |= total.private
        return np.asarray(total.vector[: layout.model_size] / layout.scale)


def _separation(noise_multiplier: float | None, rounds: int) -> float:
    """Standard deviations between the scores of canaries that took part and of those that did not."""
    return _CERTAIN if noise_multiplier is None else min(math.sqrt(rounds) / noise_multiplier, _CERTAIN)


def _estimate(scores: NDArray[np.float64], is_included: NDArray[np.bool_], delta: float) -> float:
    from dp_accounting import get_epsilon_gaussian  # noqa: PLC0415 - takes a second to import

    inside, outside = scores[is_included], scores[~is_included]
    distance = max(float(inside.mean() - outside.mean()), 0.0)
    deviation = math.sqrt((inside.var(ddof=1) + outside.var(ddof=1)) / 2)
    return float(get_epsilon_gaussian(deviation / distance, delta)) if distance else 0.0
