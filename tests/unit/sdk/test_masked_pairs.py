"""A recipe of whole numbers in a secure round: masks leave every bit of the central model."""

from collections.abc import Sequence

import numpy as np

from fedrec.manifests import manifest_for
from fedrec.masks import with_masks
from fedrec_protocol.manifest import RoundPolicy
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.hashed_pairs import HashedPairs, HashedPairsConfig
from fedrec_sdk import WaitingForOthers
from fedrec_sdk.testing import FakeAggregator
from fedrec_sdk.testing.fake_reports import AcceptedReport
from tests.unit.recipes.data import people_with_taste
from tests.unit.sdk.conftest import Join

ITEMS, PEOPLE, PHASES = 60, 6, 5


def test_a_masked_round_publishes_the_central_model_bit_for_bit(join: Join) -> None:
    recipe = HashedPairs(HashedPairsConfig(number_of_items=ITEMS, cells_per_item=32))
    histories = people_with_taste(PEOPLE, ITEMS)

    def solve(base: Tensors, reports: Sequence[AcceptedReport]) -> Tensors:
        (mean,) = reports
        return recipe.solve(base, {name: np.rint(PEOPLE * value) for name, value in mean.values.items()})

    plain = manifest_for(
        recipe, name="films", rounds=RoundPolicy(aggregation_goal=PEOPLE), round_budget=1, metrics=(), seed=1
    )
    with FakeAggregator(with_masks(plain), aggregate=solve) as aggregator:
        people = [
            join(aggregator, f"person-{number}", history.items.tolist(), recipe=None, holdout=0)
            for number, history in enumerate(histories)
        ]
        for _ in range(PHASES):
            people = [person for person in people if isinstance(person.contribute(), WaitingForOthers)]
        published = aggregator.versions[1].tensors
    for name, expected in recipe.train_central(histories, np.random.default_rng(0)).items():
        np.testing.assert_array_equal(published[name], expected)
        assert expected.any()
