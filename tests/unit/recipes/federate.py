"""A slow, plain federated run in one process: the reference that recipes are tested with."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fedrec_protocol.manifest import TrainingPlan, Weighting
from fedrec_protocol.tensors import InitialiserKind, Tensors, TensorSpec
from fedrec_recipes.recipe import History, Recipe
from services.aggregator.domain.aggregation import catalogue as rules
from services.aggregator.domain.aggregation.rule import RoundSum


def first_version(recipe: Recipe[Any], seed: int = 0) -> dict[str, np.ndarray]:
    """Initialise the shared tensors as a server would."""
    generator = np.random.default_rng(seed)
    return {spec.name: _initial(spec, generator) for spec in recipe.shared}


def federated_averaging(
    recipe: Recipe[Any],
    histories: Sequence[History],
    *,
    rounds: int,
    plan: TrainingPlan | None = None,
    momentum: float = 0.0,
    learning_rate: float = 1.0,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """FedAvg (or FedAvgM) with everybody in every round."""
    shared = first_version(recipe, seed)
    velocity = {name: np.zeros(value.shape) for name, value in shared.items()}
    for round_number in range(rounds):
        total = {name: np.zeros(value.shape) for name, value in shared.items()}
        weight = 0
        for person, history in enumerate(histories):
            generator = np.random.default_rng((seed, round_number, person))
            result = recipe.train(shared, {}, history, plan or recipe.training, generator)
            count = result.examples if recipe.report_format.weighting is Weighting.EXAMPLES else 1
            weight += count
            for name, value in result.report.items():
                total[name] += count * value.astype(np.float64)
        for name in shared:
            velocity[name] = momentum * velocity[name] + total[name] / weight
            shared[name] = (shared[name] + learning_rate * velocity[name]).astype(np.float32)
    return shared


def federated_by_its_own_rule(
    recipe: Recipe[Any], histories: Sequence[History], *, rounds: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """The recipe's own aggregation rule and training plan, with everybody in every round, all of equal weight."""
    shared: Tensors = first_version(recipe, seed)
    state: Tensors = {}
    for round_number in range(rounds):
        totals = {name: np.zeros(value.shape) for name, value in shared.items()}
        for person, history in enumerate(histories):
            generator = np.random.default_rng((seed, round_number, person))
            for name, value in recipe.train(shared, {}, history, recipe.training, generator).report.items():
                totals[name] += value
        step = rules.step(recipe.aggregation, shared, RoundSum(totals, len(histories), len(histories)), state)
        shared, state = step.parameters or shared, step.state
    return dict(shared)


def _initial(spec: TensorSpec, generator: np.random.Generator) -> np.ndarray:
    kind, scale = spec.init.kind, spec.init.scale
    if kind is InitialiserKind.NORMAL:
        return generator.normal(0, scale, spec.shape).astype(np.float32)
    if kind is InitialiserKind.UNIFORM:
        return generator.uniform(-scale, scale, spec.shape).astype(np.float32)
    return np.full(spec.shape, 1.0 if kind is InitialiserKind.ONES else 0.0, dtype=np.float32)
