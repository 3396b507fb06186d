"""Federated training with everybody's gradient taken at once: hundreds of seeds in the time of a few simulations."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fedrec_protocol.initialise import initial_parameters
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.gradient_recipe import GradientRecipe, mean
from fedrec_recipes.recipe import History
from services.aggregator.domain.aggregation import catalogue
from services.aggregator.domain.aggregation.rule import RoundSum


def federated_at_once(recipe: GradientRecipe[Any], histories: Sequence[History], seed: int) -> Tensors:
    """What a task leaves with everybody in each of the usual rounds, by the server's own rule.

    It differs from a simulation by the random numbers that devices draw, and by the rounding of reports to fixed point.
    """
    people = [history for history in histories if len(history)]
    shared, state = initial_parameters(recipe.shared, seed), dict[str, Any]()
    generator = np.random.default_rng((seed, 1))
    for _ in range(recipe.usual_rounds):
        gradient = recipe.mean_gradient(shared, people, generator)
        deltas = {name: -value for name, value in gradient.items()}
        if recipe.server_averages:
            deltas |= mean(recipe.averages(shared, history) for history in people)
        totals = {name: value.astype(np.float64) * len(people) for name, value in deltas.items()}
        step = catalogue.step(recipe.aggregation, shared, RoundSum(totals, len(people), len(people)), state)
        if step.parameters is None:
            raise TypeError(f"the rule of recipe {recipe.name!r} learns nothing")
        shared, state = dict(step.parameters), dict(step.state)
    return shared
