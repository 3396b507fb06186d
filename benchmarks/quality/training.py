"""Train as devices would, in the simulator, and count what it costs them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.quality.best_version import BestVersion
from benchmarks.quality.data import QualityData
from fedrec.manifests import manifest_for
from fedrec.private_recommender import private_recommender
from fedrec_protocol.initialise import initial_parameters
from fedrec_protocol.manifest import RecipeChoice, RoundPolicy, TaskManifest
from fedrec_protocol.tensors import Tensors
from fedrec_recipes import catalogue
from fedrec_recipes.recipe import History, Recipe
from simulation.final_test import PrivateOf
from simulation.population import Population
from simulation.simulation import Simulation

_DELTA = 1e-5


@dataclass(frozen=True)
class Stage:
    """One task of a chain: it starts from what the stage before has left."""

    recipe: str
    config: dict[str, Any] = field(default_factory=dict)
    """Without the number of items."""
    holdout: int = 1
    """Last interactions that devices keep from training: 0 trains on the validation item too."""
    rounds: int | None = None
    """None: what is usual for the recipe."""
    cohort: int | None = None
    """People who report in a round; None: everybody."""
    check_every: int | None = None
    """Rounds between measurements of validation items, the best of which says what is kept; None keeps the last."""
    learning_rate: float | None = None
    """The server's step, in place of the recipe's."""
    epsilon: float | None = None
    """Budget of user-level differential privacy at delta 1e-5, by the manifest of `fedrec privacy recommender`."""


@dataclass(frozen=True)
class Model:
    """A trained model, and what it cost."""

    recipe: Recipe[Any]
    shared: Tensors
    private_of: PrivateOf
    rounds: int
    bytes_up: float
    """Bytes that one person sent over all rounds."""
    bytes_down: float
    """Bytes that one person fetched over all rounds."""
    epsilon: float | None = None
    """What the ledger says was spent."""


def federated(data: QualityData, stages: Sequence[Stage], seed: int = 0, base: Tensors | None = None) -> Model:
    """Run the stages, with everybody in every round unless a stage says otherwise.

    Args:
        data: Who learns from what.
        stages: A chain of tasks.
        seed: Of all of them.
        base: Tensors that the first task starts from; None: as the service initialises them.

    Raises:
        InvalidManifest: a stage that an aggregator would refuse.
    """
    rounds, up, down, epsilon = 0, 0, 0, None
    for stage in stages:
        manifest = _manifest(data, stage, seed)
        recipe = catalogue.recipe(manifest.recipe)
        population = Population.of_recipe(
            recipe, data.on_devices, seed=seed, holdout=stage.holdout if data.validation else 0
        )
        simulation = Simulation(manifest, population, base=base)
        versions = BestVersion(recipe, data.validation, stage.check_every)
        for record in simulation.run():
            rounds, up, down = rounds + 1, up + record.bytes_up, down + record.bytes_down
            epsilon = record.epsilon
            versions.see(record.number, simulation.parameters)
        base = versions.shared
    people = len(data.train)
    return Model(recipe, versions.shared, simulation.private_of, rounds, up / people, down / people, epsilon)


def central(data: QualityData, stage: Stage, seed: int = 0) -> Model:
    """The recipe's own objective with everybody's data in one place, from where `federated` starts too."""
    recipe = recipe_of(stage, data.number_of_items)
    histories: list[History] = data.train if stage.holdout else data.on_devices
    base = initial_parameters(recipe.shared, seed)
    shared = recipe.train_central(histories, np.random.default_rng(seed), base=base)
    return Model(recipe, shared, lambda _: {}, rounds=0, bytes_up=0.0, bytes_down=0.0)


def recipe_of(stage: Stage, number_of_items: int) -> Recipe[Any]:
    """The recipe that a stage trains."""
    return catalogue.recipe(
        RecipeChoice(name=stage.recipe, config={**stage.config, "number_of_items": number_of_items})
    )


def _manifest(data: QualityData, stage: Stage, seed: int) -> TaskManifest:
    people = len(data.train)
    if stage.epsilon is not None:
        return private_recommender(
            name="quality",
            number_of_items=data.number_of_items,
            people=people,
            epsilon=stage.epsilon,
            target_delta=_DELTA,
            seed=seed,
        )
    recipe = recipe_of(stage, data.number_of_items)
    rounds = stage.rounds or recipe.usual_rounds
    policy = RoundPolicy(aggregation_goal=min(stage.cohort or people, people))
    manifest = manifest_for(recipe, name="quality", rounds=policy, round_budget=rounds, metrics=(), seed=seed)
    if stage.learning_rate is None:
        return manifest
    params = {**manifest.aggregation.params, "learning_rate": stage.learning_rate}
    return manifest.model_copy(update={"aggregation": manifest.aggregation.model_copy(update={"params": params})})
