"""Real participants of a secure task, driven phase by phase from a few threads."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.manifest import ReportContent, TrainingPlan
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.recipe import History, LocalResult
from fedrec_sdk import Contributed, Evaluation, Participant, WaitingForOthers
from fedrec_sdk.transport import Transport

_THREADS = 8


@dataclass(frozen=True)
class KnownUpdate:
    """A trainer whose update follows from its number: training costs nothing, and the sum can be checked."""

    number: int
    size: int

    content = ReportContent.DELTA

    @property
    def update(self) -> NDArray[np.float32]:
        """Of norm one, shape (size,)."""
        drawn = np.random.default_rng(self.number).standard_normal(self.size)
        return (drawn / np.linalg.norm(drawn)).astype(np.float32)

    def count_examples(self, history: History) -> int:
        """One."""
        return 1

    def train(
        self, shared: Tensors, private: Tensors, history: History, plan: TrainingPlan, generator: np.random.Generator
    ) -> LocalResult:
        """The update."""
        return LocalResult({"weights": self.update}, 1)

    def evaluate(self, shared: Tensors, private: Tensors, history: History, metrics: tuple[str, ...]) -> Evaluation:
        """Nothing is measured."""
        return Evaluation(0, {})


class SecureDevices:
    """So many devices with stores in `folder`; those that are told to leave answer no more."""

    def __init__(self, aggregator_url: str, enrolment_key: str, folder: Path, trainers: Sequence[KnownUpdate]) -> None:
        self._transports = [Transport(maximum_connections=2) for _ in range(_THREADS)]
        self._present = {
            trainer.number: Participant(
                aggregator_url,
                enrolment_key,
                folder / f"{trainer.number}",
                trainer,
                seed=1,
                transport=self._transports[place % _THREADS],
            )
            for place, trainer in enumerate(trainers)
        }
        self._pool = ThreadPoolExecutor(_THREADS)

    def answer(self) -> bool:
        """Everybody answers what can be answered now; whether all have contributed."""
        groups = [list(self._present.values())[start::_THREADS] for start in range(_THREADS)]
        return all(list(self._pool.map(_answer, groups)))

    def leave(self, numbers: Iterable[int]) -> None:
        """These are switched off for good."""
        for number in numbers:
            self._present.pop(number).close()

    def close(self) -> None:
        """Switch everybody off."""
        self._pool.shutdown()
        self.leave(list(self._present))
        for transport in self._transports:
            transport.close()


def _answer(participants: Sequence[Participant]) -> bool:
    outcomes = [participant.contribute() for participant in participants]
    for outcome in outcomes:
        if not isinstance(outcome, Contributed | WaitingForOthers):
            raise RuntimeError(f"a participant could not go on: {outcome}")
    return all(isinstance(outcome, Contributed) for outcome in outcomes)
