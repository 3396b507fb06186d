"""The participants of a secure round: real ones, with stores, that train to a known update."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.manifest import ReportContent, TrainingPlan
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.recipe import History, LocalResult
from fedrec_sdk import Contributed, Evaluation, Outcome, Participant, WaitingForOthers
from tests.integration.aggregator.deployment import Deployment, Task

SIZE = 12
NORM = 4.0
SECURE: dict[str, Any] = {"modulus_bits": 32, "value_bits": 24, "minimum_cohort": 5}
FRACTION_BITS = 20
"""floor(log2((2**23 - 1) / 4)): the finest grid on which an update of norm 4 fits in 24 bits."""


class KnownUpdate:
    """A trainer whose update is told in advance."""

    content = ReportContent.DELTA

    def __init__(self, update: NDArray[np.float32], examples: int = 1) -> None:
        self.update, self.examples = update, examples

    def count_examples(self, history: History) -> int:
        return self.examples

    def train(
        self, shared: Tensors, private: Tensors, history: History, plan: TrainingPlan, generator: np.random.Generator
    ) -> LocalResult:
        return LocalResult(report={"items": self.update}, examples=self.examples)

    def evaluate(self, shared: Tensors, private: Tensors, history: History, metrics: tuple[str, ...]) -> Evaluation:
        return Evaluation(2, dict.fromkeys(metrics, float(self.examples) / 16))


def update_of(number: int) -> NDArray[np.float32]:
    """An update of norm 1 that is nobody else's."""
    drawn = np.random.default_rng(number).standard_normal(SIZE)
    return (drawn / np.linalg.norm(drawn)).astype(np.float32)


def secure_task(world: Deployment, people: int = 8, **changes: Any) -> Task:
    """A task of masked reports of one float64 tensor."""
    manifest = {
        "shared": [{"name": "items", "shape": [SIZE], "dtype": "F64"}],
        "report": {"weighting": "uniform", "maximum_norm": NORM},
        "rounds": {"aggregation_goal": people, "deadline_seconds": 600},
        "secure_aggregation": SECURE | changes.pop("secure", {}),
    }
    return world.task(**manifest | changes)


class Cohort:
    """Participants by number; a phase is one call of `contribute` by each."""

    def __init__(self, task: Task, folder: Path, people: int = 8, **options: Any) -> None:
        self.task, self.folder, self.options = task, folder, options
        self.people = {number: self.participant(number) for number in range(people)}

    def participant(self, number: int) -> Participant:
        """A process of this person's device; another one finds the same store."""
        trainer = KnownUpdate(update_of(number), examples=number + 1)
        url = self.task.world.aggregator_urls[number % len(self.task.world.aggregator_urls)]
        return Participant(url, self.task.enrolment_key, self.folder / f"{number}", trainer, seed=1, **self.options)

    def restart(self) -> None:
        """Every device is switched off and on."""
        for number, participant in self.people.items():
            participant.close()
            self.people[number] = self.participant(number)

    @property
    def phase(self) -> str:
        """The open phase, as operators see it."""
        return str(self.task.round["waiting_for"]).partition(":")[0]

    def step(self, without: Iterable[int] = ()) -> dict[int, Outcome]:
        """Everybody answers what can be answered, and the worker does what is due."""
        outcomes = {number: self.people[number].contribute() for number in sorted(set(self.people) - set(without))}
        self.task.world.work()
        return outcomes

    def wait(self, phases: int, without: Iterable[int] = ()) -> None:
        """So many phases in which nobody finishes."""
        for _ in range(phases):
            outcomes = self.step(without)
            assert {type(outcome) for outcome in outcomes.values()} == {WaitingForOthers}, outcomes

    def finish(self, without: Iterable[int] = ()) -> None:
        """The phase in which everybody has contributed."""
        outcomes = self.step(without)
        assert {type(outcome) for outcome in outcomes.values()} == {Contributed}, outcomes

    def close(self) -> None:
        for participant in self.people.values():
            participant.close()


def integer_sum(numbers: Iterable[int]) -> list[int]:
    """What the grid makes of the updates, added up with Python's integers."""
    total = [0] * SIZE
    for number in numbers:
        for index, value in enumerate(update_of(number)):
            total[index] += round(float(value) * 2**FRACTION_BITS)
    return total


def published_sum(task: Task, people: int) -> list[int]:
    """The integers that the published mean came of: a float64 mean tells them apart."""
    scaled = task.weights()["items"] * people * 2**FRACTION_BITS
    assert np.abs(scaled - np.rint(scaled)).max() < 1e-6
    return [int(value) for value in np.rint(scaled)]
