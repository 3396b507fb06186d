"""The people of a simulation: what each device holds, and how it trains."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedrec_recipes.recipe import History, Recipe
from fedrec_sdk.trainer import RecipeTrainer, Trainer

_PURPOSE = b"fedrec/simulation/participant/1"


@dataclass(frozen=True)
class Population:
    """Participants 0 ... n - 1, each with a history and a trainer.

    For a recommender all share one trainer. For a module with data of its own, `trainer_of` returns
    the one that is bound to this person's shard.
    """

    histories: Sequence[History]
    """What is in each device's local store."""
    trainer_of: Callable[[int], Trainer]
    """The trainer of a person."""
    seed: int = 0
    """Seed from which each person's seed is derived."""

    def __len__(self) -> int:
        return len(self.histories)

    @classmethod
    def of_recipe(
        cls, recipe: Recipe[Any], histories: Sequence[History], *, seed: int = 0, holdout: int = 1
    ) -> "Population":
        """People who train a recipe on their histories without the last `holdout` interactions."""
        trainer = RecipeTrainer(recipe, holdout=holdout)
        return cls(histories, lambda _: trainer, seed)

    @cached_property
    def examples(self) -> NDArray[np.int64]:
        """Examples that each person trains on, shape (n,); nobody without any asks for work."""
        counts = (self.trainer_of(person).count_examples(self.histories[person]) for person in range(len(self)))
        return np.fromiter(counts, dtype=np.int64, count=len(self))

    def training_seed(self, person: int) -> int:
        """The seed that this person's `Participant` would be given."""
        return participant_seed(self.seed, person)


def participant_seed(seed: int, person: int) -> int:
    """The seed of one participant's local training: 64 bits of SHA-256, so that no two populations share one."""
    message = _PURPOSE + seed.to_bytes(8, "little") + person.to_bytes(8, "little")
    return int.from_bytes(hashlib.sha256(message).digest()[:8], "little")


def client_id(person: int) -> str:
    """How the simulated aggregator calls this person."""
    return f"person-{person}"
