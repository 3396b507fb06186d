"""The closing table: full ranking of each person's last item."""

import numpy as np
import pytest

from fedrec.data.split import leave_last_out
from fedrec_protocol.initialise import initial_parameters
from fedrec_recipes.recipe import History
from simulation.final_test import federated_row, popularity_row, ranks_of
from tests.unit.recipes.data import people_with_taste
from tests.unit.simulation.tasks import ITEMS, small_mf


def test_popularity_counts_training_interactions_only() -> None:
    """Item 3 is everybody's test item: whoever looks at the test finds it the most popular."""
    histories = [History(np.array(items)) for items in ([0, 1, 2, 3], [0, 1, 2, 3], [0, 4, 1, 3])]
    split = leave_last_out(histories)
    row = popularity_row(6, split, metrics=("hr@1", "hr@3"), seed=1)
    # Seen are 0, 1, 2 (or 0, 1, 4): 3 was never trained on and ties with 5, pessimistically behind it.
    assert row.metrics["hr@1"].mean == 0.0
    assert row.metrics["hr@3"].mean == 1.0


def test_scoring_many_at_once_ranks_as_each_device_would() -> None:
    recipe = small_mf()
    shared = initial_parameters(recipe.shared, 3)
    split = leave_last_out(people_with_taste(30, ITEMS))
    expected = []
    for case in split.test:
        scores = recipe.score(shared, {}, case.history)
        rivals = set(range(ITEMS)) - set(case.history.items.tolist()) - {case.target}
        expected.append(1 + sum(scores[rival] >= scores[case.target] for rival in rivals))
    assert ranks_of(recipe, shared, lambda _: {}, split.test).tolist() == expected


def test_the_interval_holds_the_mean() -> None:
    recipe = small_mf()
    split = leave_last_out(people_with_taste(30, ITEMS))
    row = federated_row(recipe, initial_parameters(recipe.shared, 3), lambda _: {}, split, metrics=("ndcg@10",), seed=1)
    estimate = row.metrics["ndcg@10"]
    assert estimate.low <= estimate.mean <= estimate.high
    assert estimate.mean == pytest.approx(
        np.mean(
            [
                1 / np.log2(rank + 1) if rank <= 10 else 0
                for rank in ranks_of(recipe, initial_parameters(recipe.shared, 3), lambda _: {}, split.test)
            ]
        )
    )
