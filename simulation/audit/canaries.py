"""Canaries: participants whose reports are as long as a report may be, and like nobody else's.

Each adds the clipping norm to one coordinate of its own, in every round: the worst case that the ledger prices. The
auditor knows everything but who of them takes part: the versions, the noise multiplier, everybody else's data and who
of them reported.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedrec.refused import Refused
from fedrec_protocol.manifest import ReportContent, TrainingPlan
from fedrec_protocol.tensors import Tensors, TensorSpec
from fedrec_recipes.recipe import History, LocalResult
from fedrec_sdk.evaluation import NOTHING_EVALUATED, Evaluation
from fedrec_sdk.trainer import Trainer
from simulation.audit.modes import Mode
from simulation.audit.one_run import epsilon_lower_bound, gaussian_separation, guesses_for, right_guesses
from simulation.audit.rates import Rates
from simulation.audit.task import AuditedTask, published_rounds
from simulation.engines.local import LocalEngine
from simulation.population import Population
from simulation.work import CohortSum, PrivateTensors, RoundWork

JUST_BELOW = 1.0 - 2.0**-20
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

    mode: str
    """How the noise was drawn."""
    noise_multiplier: float | None
    """None: no noise was added."""
    ledger_epsilon: float | None
    """What the ledger charged for it; None: no epsilon holds."""
    epsilon_lower_bound: float
    """At least this much was spent, with the stated confidence."""
    confidence: float
    epsilon_estimate: float | None
    """If scores are Gaussian (Andrew et al. 2023, https://arxiv.org/abs/2302.03098): no bound, but close to the ledger
    where the noise is what it should be. None where they are not."""
    delta: float
    canaries: int
    guesses: int
    right_guesses: int
    rates: Rates
    """How well canaries that took part are told from those that did not."""

    @classmethod
    def of(
        cls,
        mode: Mode,
        scores: NDArray[np.float64],
        is_included: NDArray[np.bool_],
        *,
        ledger_epsilon: float | None,
        delta: float,
        confidence: float,
    ) -> "CanaryFigures":
        """From the scores, shape (m,), and the coins, shape (m,). How many are guessed follows from the ledger."""
        m = len(scores)
        guesses = guesses_for(m, gaussian_separation(ledger_epsilon, delta), delta=delta, confidence=confidence)
        right = right_guesses(scores, is_included, guesses)
        bound = epsilon_lower_bound(canaries=m, guesses=guesses, right=right, delta=delta, confidence=confidence)
        return cls(
            mode=mode.name,
            noise_multiplier=mode.noise_multiplier,
            ledger_epsilon=ledger_epsilon,
            epsilon_lower_bound=bound,
            confidence=confidence,
            epsilon_estimate=_estimate(scores, is_included, delta) if mode.is_gaussian else None,
            delta=delta,
            canaries=m,
            guesses=guesses,
            right_guesses=right,
            rates=Rates.of(scores[is_included], scores[~is_included]),
        )

    @property
    def refutes_the_ledger(self) -> bool:
        """Whether more was spent than the ledger says."""
        return self.ledger_epsilon is not None and self.epsilon_lower_bound > self.ledger_epsilon


def audit_canaries(
    task: AuditedTask, people: Population, mode: Mode, *, canaries: int, confidence: float
) -> CanaryFigures:
    """Train once with half of the canaries among the people, and guess which half.

    Args:
        task: What is audited.
        people: Who takes part besides.
        mode: How noise is drawn.
        canaries: m, at most the parameters of the model.
        confidence: Of the lower bound.

    Raises:
        Refused: more canaries than parameters.
    """
    generator = np.random.Generator(np.random.Philox(key=task.seed))
    is_included = generator.random(canaries) < 0.5
    joined = len(people) + int(is_included.sum())
    manifest = task.manifest(joined, mode)
    size = sum(spec.element_count for spec in manifest.report_tensors)
    if canaries > size:
        raise Refused(f"{canaries} canaries need as many parameters, and the model has {size}")
    coordinates = generator.choice(size, size=canaries, replace=False)
    norm = JUST_BELOW * task.clipping_norm
    trainers = [CanaryTrainer(manifest.report_tensors, place, norm) for place in coordinates[is_included].tolist()]
    witness = _Witness(_among(people, trainers), len(people))
    residuals, ledger_epsilon = [], None
    for published in published_rounds(
        manifest, witness.population, engine=witness, availability=mode.availability(len(people))
    ):
        residual = (published.sum - witness.known)[coordinates]
        residuals.append(residual / (published.work.clipping_norm or task.clipping_norm))
        ledger_epsilon = published.epsilon
    scores = mode.scores(np.stack(residuals))
    return CanaryFigures.of(
        mode, scores, is_included, ledger_epsilon=ledger_epsilon, delta=task.target_delta, confidence=confidence
    )


def _among(people: Population, canaries: list[CanaryTrainer]) -> Population:
    """The people, and behind them the canaries that take part."""

    def trainer_of(person: int) -> Trainer:
        return people.trainer_of(person) if person < len(people) else canaries[person - len(people)]

    nothing = History(np.zeros(0, np.int64))
    return Population([*people.histories, *(nothing for _ in canaries)], trainer_of, people.seed)


class _Witness:
    """Computes everybody's reports, and tells the auditor what came of all but the canaries."""

    def __init__(self, population: Population, people: int) -> None:
        self.population = population
        self.known = np.zeros(0)
        """Sum of the reports of the last round's people, shape (d,)."""
        self._people, self._engine = people, LocalEngine(population)

    def contribute(self, work: RoundWork, people: Sequence[int], privates: PrivateTensors) -> CohortSum:
        """The sum of all reports."""
        total = self._engine.contribute(work, [person for person in people if person < self._people], privates)
        self.known = total.vector[: work.layout.model_size] / work.layout.scale
        total.merge(self._engine.contribute(work, [p for p in people if p >= self._people], privates))
        return total

    def close(self) -> None:
        """Nothing to let go of."""


def _estimate(scores: NDArray[np.float64], is_included: NDArray[np.bool_], delta: float) -> float:
    from dp_accounting import get_epsilon_gaussian  # noqa: PLC0415 - takes a second to import

    inside, outside = scores[is_included], scores[~is_included]
    distance = max(float(inside.mean() - outside.mean()), 0.0)
    deviation = math.sqrt((inside.var(ddof=1) + outside.var(ddof=1)) / 2)
    return float(get_epsilon_gaussian(deviation / distance, delta)) if distance else 0.0
