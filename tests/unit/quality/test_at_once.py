"""Everybody's gradients at once, against devices one by one."""

import numpy as np
import pytest

from benchmarks.quality.at_once import federated_at_once
from benchmarks.quality.paired import Difference
from fedrec_protocol.initialise import initial_parameters
from fedrec_recipes.bpr import BayesianPersonalisedRanking, BprConfig
from fedrec_recipes.recipe import History
from services.aggregator.domain.aggregation import catalogue
from services.aggregator.domain.aggregation.rule import RoundSum
from tests.unit.recipes.data import people_with_taste


class FewRounds(BayesianPersonalisedRanking):
    """Nothing in it is random, so that both ways have to come to the same parameters."""

    usual_rounds = 3


def test_everybodys_gradients_at_once_leave_what_the_devices_reports_leave() -> None:
    recipe, people = FewRounds(BprConfig(number_of_items=60, dimension=4)), people_with_taste(20, 60)
    shared, state = initial_parameters(recipe.shared, 5), dict[str, np.ndarray]()
    for _ in range(recipe.usual_rounds):
        totals = {name: np.zeros(value.shape) for name, value in shared.items()}
        for person in people:
            report = recipe.train(shared, {}, person, recipe.training, np.random.default_rng(0)).report
            totals = {name: total + report[name] for name, total in totals.items()}
        step = catalogue.step(recipe.aggregation, shared, RoundSum(totals, len(people), len(people)), state)
        shared, state = dict(step.parameters or {}), dict(step.state)
    found = federated_at_once(recipe, [*people, History(np.zeros(0, dtype=np.int64))], seed=5)
    for name, value in shared.items():
        np.testing.assert_allclose(found[name], value, atol=1e-4)


def test_a_difference_needs_the_same_seeds_on_both_sides() -> None:
    with pytest.raises(ValueError, match="same seeds"):
        Difference.of([0.1, 0.2], [0.1])
