"""A recipe small enough to check by hand: the share of each item in people's histories."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.manifest import TrainingPlan
from fedrec_protocol.tensors import Tensors, TensorSpec
from fedrec_recipes.recipe import History, LocalResult, Recipe, RecipeConfig

ITEMS = 6


class Popularity(Recipe[RecipeConfig]):
    """Moves the shared shares towards this person's; keeps a private count of trainings and some noise."""

    name = "popularity-toy"
    config_type = RecipeConfig
    private = ("own_*",)
    meanwhile = staticmethod(lambda: None)
    """What else happens while this person trains."""

    @classmethod
    def of(cls, number_of_items: int) -> "Popularity":
        return cls(RecipeConfig(number_of_items=number_of_items))

    @property
    def shared(self) -> tuple[TensorSpec, ...]:
        return (TensorSpec(name="share", shape=(self.config.number_of_items,)),)

    def train(
        self, shared: Tensors, private: Tensors, history: History, plan: TrainingPlan, generator: np.random.Generator
    ) -> LocalResult:
        shares = np.bincount(history.items, minlength=self.config.number_of_items) / len(history)
        self.meanwhile()
        delta = (shares - shared["share"]).astype(np.float32)
        trained = private.get("own_trainings", np.zeros(1, np.int64)) + 1
        secret = generator.standard_normal(8).astype(np.float32)
        return LocalResult({"share": delta}, len(history), {"own_trainings": trained, "own_noise": secret})

    def score(self, shared: Tensors, private: Tensors, history: History) -> NDArray[np.float32]:
        return shared["share"].astype(np.float32)

    def train_central(
        self, histories: Sequence[History], generator: np.random.Generator, *, base: Tensors | None = None
    ) -> Tensors:
        items = np.concatenate([history.items for history in histories])
        return {"share": np.bincount(items, minlength=self.config.number_of_items) / len(items)}


def history_of(*items: int) -> History:
    return History(np.array(items, dtype=np.int64))
