"""What a person sees of a model: lists, reasons and measurements, from a version on this device."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fedrec_protocol.item_catalogue import ItemCatalogue
from fedrec_protocol.manifest import RecipeChoice
from fedrec_protocol.problems import Slug
from fedrec_protocol.tensors import Tensors
from fedrec_recipes import catalogue
from fedrec_recipes.recipe import Recipe
from fedrec_recipes.reranking import because_of
from fedrec_sdk.agreed_task import AgreedTask
from fedrec_sdk.catalogues import Catalogues
from fedrec_sdk.errors import rejected_here
from fedrec_sdk.evaluation import Evaluation
from fedrec_sdk.models import Models
from fedrec_sdk.recommendation import CANDIDATES, Recommendation, top_k, varied
from fedrec_sdk.store import LocalStore
from fedrec_sdk.trainer import ItemScorer, RecipeTrainer, Trainer


@dataclass(frozen=True)
class Loaded:
    """A version that is ready to be used."""

    trainer: Trainer
    """What the version is for."""
    shared: Tensors
    """The version's tensors."""
    private: Tensors
    """This person's tensors; empty before the first training."""


@dataclass(frozen=True)
class Recommender:
    """Uses versions of a task's model on this device; needs no network. `Participant` says what the arguments mean."""

    store: LocalStore
    task: AgreedTask
    models: Models
    catalogues: Catalogues
    recipe: Recipe[Any] | Trainer | None
    """A recipe or a trainer of the app's own; None takes the one that the manifest names."""
    holdout: int
    """How many of the last interactions are not trained on, but measured."""

    def catalogue(self) -> ItemCatalogue | None:
        """The catalogue as it was last refreshed."""
        return self.catalogues.current(self.task.current().manifest.model)

    def trainer(self, choice: RecipeChoice) -> Trainer:
        """The app's own, or that of the recipe which a manifest names.

        Raises:
            Rejected: this SDK does not have the recipe.
        """
        if self.recipe is not None and not isinstance(self.recipe, Recipe):
            return self.recipe
        try:
            recipe = self.recipe or catalogue.recipe(choice)
        except (catalogue.UnknownRecipe, catalogue.InvalidRecipeConfig) as error:
            detail = f"{error}; update this SDK, or pass the recipe"
            raise rejected_here(Slug.INVALID_MANIFEST, detail) from error
        items = self.catalogue()
        ruled_out = None if items is None else np.array(items.ruled_out(recipe.config.number_of_items), dtype=np.int64)
        return RecipeTrainer(recipe, holdout=self.holdout, ruled_out=ruled_out)

    def loaded(self, name: str | None) -> Loaded:
        """A version on this device, by alias or id.

        Raises:
            Unavailable: that version is not on this device.
        """
        task = self.task.current()
        version = self.models.choose(task.manifest.model, name)
        trainer, specs = self.trainer(version.recipe or task.manifest.recipe), task.manifest.shared
        if version.recipe not in (None, task.manifest.recipe) and isinstance(trainer, RecipeTrainer):
            specs = trainer.recipe.shared  # a version of before the task's recipe was changed
        return Loaded(trainer, self.models.tensors(version, specs), self.store.outbox.private_tensors(task.task_id))

    def recommend(
        self,
        k: int,
        *,
        exclude_seen: bool | None,
        exclude: Iterable[int],
        allow: Iterable[int] | None,
        variety: float,
        version: str | None,
    ) -> list[Recommendation]:
        """The best items for this person."""
        loaded = self.loaded(version)
        trainer = _scorer(loaded.trainer)
        history = self.store.interactions.history()
        if exclude_seen is None:
            seen = trainer.recipe.excluded(history) if isinstance(trainer, RecipeTrainer) else history.items
        else:
            seen = history.items if exclude_seen else history.items[:0]
        allowed = self._recommendable(allow)
        scores, excluded = trainer.score(loaded.shared, loaded.private, history), [*seen.tolist(), *exclude]
        if variety <= 0:
            return top_k(scores, k, exclude=excluded, allow=allowed)
        vectors = trainer.recipe.item_vectors(loaded.shared) if isinstance(trainer, RecipeTrainer) else None
        if vectors is None:
            raise TypeError("this model does not tell items apart: leave variety at 0")
        candidates = top_k(scores, CANDIDATES * k, exclude=excluded, allow=allowed)
        return varied(candidates, scores, vectors, k, variety=variety)

    def because_of(self, item: int, *, count: int, version: str | None) -> list[tuple[int, float]]:
        """The items of this person's history that speak most for an item."""
        loaded = self.loaded(version)
        trainer = _scorer(loaded.trainer)
        history = self.store.interactions.history()
        return because_of(lambda known: trainer.score(loaded.shared, loaded.private, known), history, item, count=count)

    def evaluate(self, k: int, *, version: str | None) -> Evaluation:
        """Measure a version on the held-out interactions."""
        loaded = self.loaded(version)
        metrics = (f"hr@{k}", f"ndcg@{k}", f"mrr@{k}")
        return loaded.trainer.evaluate(loaded.shared, loaded.private, self.store.interactions.history(), metrics)

    def _recommendable(self, allow: Iterable[int] | None) -> Iterable[int] | None:
        """The items of `allow` that the catalogue, if there is one, does not rule out."""
        items = self.catalogue()
        if items is None:
            return allow
        return items.recommendable if allow is None else set(allow).intersection(items.recommendable)


def _scorer(trainer: Trainer) -> ItemScorer:
    if not isinstance(trainer, ItemScorer):
        raise TypeError(f"{type(trainer).__name__} does not score items: use parameters() with your own model")
    return trainer
