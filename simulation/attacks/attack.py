"""What every attack is, and a trainer that carries one out."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fedrec_protocol.manifest import ReportContent, TrainingPlan
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.recipe import History, LocalResult
from fedrec_sdk.evaluation import Evaluation
from fedrec_sdk.trainer import Trainer
from simulation.population import Population


class Attack(Protocol):
    """Tampers with what is learnt from, or with what is reported.

    The server still sees a well-formed report within the norm bound: anything else it would refuse.
    """

    def poison_history(self, history: History, generator: np.random.Generator) -> History:
        """The interactions to train on instead of the true ones."""
        ...

    def poison_report(self, report: Tensors, generator: np.random.Generator) -> Tensors:
        """The tensors to report instead of the true ones, same names and shapes, float32."""
        ...


@dataclass(frozen=True)
class PoisonedTrainer:
    """An attacker's trainer: honest about evaluation and the number of examples."""

    honest: Trainer
    attack: Attack

    @property
    def content(self) -> ReportContent:
        """As the honest trainer's."""
        return self.honest.content

    def count_examples(self, history: History) -> int:
        """As the honest trainer counts them."""
        return self.honest.count_examples(history)

    def train(
        self, shared: Tensors, private: Tensors, history: History, plan: TrainingPlan, generator: np.random.Generator
    ) -> LocalResult:
        """Train on the poisoned history, then poison what came of it."""
        believed = self.attack.poison_history(history, generator)
        result = self.honest.train(shared, private, believed, plan, generator)
        return LocalResult(self.attack.poison_report(result.report, generator), result.examples, result.private)

    def evaluate(self, shared: Tensors, private: Tensors, history: History, metrics: tuple[str, ...]) -> Evaluation:
        """Measure as the honest trainer does."""
        return self.honest.evaluate(shared, private, history, metrics)


def with_attackers(population: Population, attack: Attack, *, fraction: float, seed: int) -> Population:
    """The same people, a share of whom (rounded) now attacks; the seed draws whom.

    Raises:
        ValueError: a fraction outside 0 ... 1.
    """
    if not 0 <= fraction <= 1:
        raise ValueError("the fraction of attackers is from 0 to 1")
    generator = np.random.Generator(np.random.Philox(key=seed))
    count = round(fraction * len(population))
    attackers = frozenset(generator.choice(len(population), size=count, replace=False).tolist())

    def trainer_of(person: int) -> Trainer:
        honest = population.trainer_of(person)
        return PoisonedTrainer(honest, attack) if person in attackers else honest

    return Population(population.histories, trainer_of, population.seed)
