"""A task manifest from a recipe: what the recipe knows, and what only the operator can say."""

from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from fedrec.refused import Refused
from fedrec_protocol.base import reasons
from fedrec_protocol.item_catalogue import ItemCatalogue
from fedrec_protocol.manifest import Convergence, RoundPolicy, StopCriteria, TaskManifest
from fedrec_protocol.privacy import Privacy
from fedrec_recipes.combined import Combined
from fedrec_recipes.federated_evaluation import EvaluationConfig, FederatedEvaluation
from fedrec_recipes.item_content import pack_content
from fedrec_recipes.recipe import Recipe

DEFAULT_METRICS = ("hr@10", "ndcg@10")


def manifest_for(
    recipe: Recipe[Any],
    *,
    name: str,
    rounds: RoundPolicy,
    round_budget: int,
    patience: int | None = None,
    metrics: tuple[str, ...] = DEFAULT_METRICS,
    seed: int = 0,
) -> TaskManifest:
    """The manifest of a task that trains this recipe.

    Args:
        recipe: Says what is shared and private, what a report holds, which rule suits it, how to train.
        name: Name of the task and of its model.
        rounds: When a round closes, and how many participants are asked.
        round_budget: Training rounds at most.
        patience: Stop when the last of the metrics has not improved for so many rounds; None: never.
        metrics: What participants measure.
        seed: Seed of the initial parameters and of the cohort choice.
    """
    convergence = None if patience is None else Convergence(metric=metrics[-1], patience=patience)
    return TaskManifest(
        name=name,
        model=name,
        recipe=recipe.choice,
        shared=recipe.shared,
        private=recipe.private,
        report=recipe.report_format,
        metrics=metrics,
        aggregation=recipe.aggregation,
        rounds=rounds,
        training=recipe.training,
        stop=StopCriteria(round_budget=round_budget, convergence=convergence),
        seed=seed,
    )


def evaluation_of(
    recipe: Recipe[Any],
    *,
    name: str,
    model: str,
    base_version: str | None,
    rounds: RoundPolicy,
    items: ItemCatalogue | None = None,
    **config: Any,
) -> TaskManifest:
    """The manifest of a one-round task in which people's devices measure a version of a model.

    Args:
        recipe: The recipe that the version is of.
        name: Name of the task.
        model: Name of the model that the version belongs to.
        base_version: The version's id in the registry; None where the parameters are given otherwise.
        rounds: When the round closes, and how many participants are asked.
        items: The model's catalogue: only what may be recommended now is ranked, by everybody alike; None ranks
            all rows of the model.
        config: Further fields of `EvaluationConfig`: cut-offs, slices.
    """
    number_of_items = recipe.config.number_of_items
    if items is not None:
        recommendable = np.ones((number_of_items, 1), dtype=np.bool_)
        recommendable[items.ruled_out(number_of_items)] = False
        config["recommendable"] = pack_content(recommendable)
    evaluation = FederatedEvaluation(EvaluationConfig(number_of_items=number_of_items, recipe=recipe.choice, **config))
    manifest = manifest_for(evaluation, name=name, rounds=rounds, round_budget=1, metrics=())
    return manifest.model_copy(update={"model": model, "base_version": base_version})


def choice_of_weights(
    recipe: Combined,
    *,
    name: str,
    model: str,
    base_version: str | None,
    rounds: RoundPolicy,
    privacy: Privacy | None = None,
) -> TaskManifest:
    """The manifest of a one-round task in which people's devices choose the weights of a combined model.

    Args:
        recipe: What is combined.
        name: Name of the task.
        model: Name of the combined model.
        base_version: The combined version's id in the registry; None where the parameters are given otherwise.
        rounds: When the round closes, and how many participants are asked.
        privacy: Noise, and what the round may spend; then nothing else is measured, for that would be released too.
    """
    metrics = DEFAULT_METRICS if privacy is None else ()
    manifest = manifest_for(recipe, name=name, rounds=rounds, round_budget=recipe.usual_rounds, metrics=metrics)
    changes = {"model": model, "base_version": base_version, "privacy": privacy}
    return TaskManifest.model_validate({**manifest.model_dump(), **changes})


def read_manifest(path: Path) -> TaskManifest:
    """The manifest in a file of JSON, as `recommend-config` writes it and as `POST /v1/tasks` takes it.

    Raises:
        OSError: the file cannot be read.
        Refused: it holds no manifest; the message names the fields.
    """
    try:
        return TaskManifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise Refused(f"{path} is no task manifest: {reasons(error)}") from error
