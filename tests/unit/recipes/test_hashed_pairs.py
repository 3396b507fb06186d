"""Neighbours from hashed counts: what a table never does, what the model is when it has room, what a report costs."""

from collections import Counter

import numpy as np
import pytest

from fedrec.manifests import manifest_for
from fedrec.masks import with_masks
from fedrec_protocol.manifest import RoundPolicy
from fedrec_recipes.hashed_pairs import ITEM_COUNT, LATEST_COUNT, PAIR_COUNT
from fedrec_recipes.hashed_pairs import HashedPairs as Recipe
from fedrec_recipes.hashed_pairs import HashedPairsConfig as Config
from fedrec_recipes.neighbour_lists import NEIGHBOUR_WEIGHTS, NEIGHBOURS
from fedrec_recipes.pair_table import PairTable, ReadableTables
from fedrec_recipes.recipe import History
from simulation.population import Population
from simulation.simulation import Simulation
from tests.unit.recipes.data import people_with_taste

ITEMS = 60
HISTORIES = people_with_taste(80, ITEMS)


def recipe(**config: object) -> Recipe:
    return Recipe(Config.model_validate({"number_of_items": ITEMS, **config}))


def solved(chosen: Recipe, histories: list[History] = HISTORIES) -> dict[str, np.ndarray]:
    return chosen.train_central(histories, np.random.default_rng(0))


def weights_of(model: dict[str, np.ndarray]) -> np.ndarray:
    """The whole matrix: row i is what item i says of the others. Places of a list that are not taken weigh zero."""
    whole = np.zeros((ITEMS, ITEMS))
    np.add.at(whole, (np.arange(ITEMS)[:, None], model[NEIGHBOURS]), model[NEIGHBOUR_WEIGHTS].astype(float))
    return whole


@pytest.mark.parametrize("cells", [20, 300, 4001])
def test_a_table_never_counts_too_little_and_a_wide_one_counts_right(cells: int) -> None:
    generator = np.random.default_rng(0)
    table = PairTable(number_of_items=40, cells=cells, hashes=3)
    pairs = Counter(tuple(generator.integers(0, 40, 2).tolist()) for _ in range(200))
    counts = np.zeros((3, cells), dtype=np.float32)
    exact = np.zeros((40, 40))
    for (first, second), count in pairs.items():
        exact[first, second] = count
        for number in range(3):
            counts[number, table.cells_of(number, np.array(first), np.array(second))] += count
    tables = ReadableTables(np.concatenate([counts, counts], axis=1))
    rows = np.stack([table.row(tables, first) for first in range(40)])
    columns = np.stack([table.column(tables, second) for second in range(40)], axis=1)
    np.testing.assert_array_equal(rows, columns)
    assert (rows >= exact).all()
    if cells == 4001:
        # A pair that is not there has one of 200 in each of its three cells with chance 0.05**3: 0.2 of 1400.
        assert (rows != exact).sum() <= 3


def test_what_strangers_read_in_a_full_table_is_taken_off() -> None:
    generator = np.random.default_rng(0)
    table = PairTable(number_of_items=200, cells=2000, hashes=4)
    counts = generator.poisson(30.0, (4, 2000)).astype(np.float32)  # many pairs in each cell, none of them heavy
    tables = ReadableTables(np.concatenate([counts, counts], axis=1))
    read = np.stack([table.row(tables, first) for first in range(200)])
    assert table.of_strangers(counts) == pytest.approx(np.median(read), abs=1)
    assert table.of_strangers(np.where(counts > 30, counts, 0)) == 0


def test_the_table_is_where_every_device_and_version_expects_it() -> None:
    """The first numbers of SplitMix64 from seed 0, as its authors publish them."""
    first = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    table = PairTable(number_of_items=3, cells=1009, hashes=1)
    nothing = table.cells_of(0, np.array([0]), np.array([0])) - first[0] % 1009
    found = table.cells_of(0, np.arange(3), np.zeros(3, dtype=np.int64)) - nothing
    assert (found % 1009).tolist() == [number % 1009 for number in first]


@pytest.mark.parametrize("is_ordered", [True, False])
def test_with_room_for_everything_weights_are_damped_frequencies(is_ordered: bool) -> None:
    model = solved(recipe(is_ordered=is_ordered, window=5, cells_per_item=20_000, neighbours=ITEMS))
    following, people, latest = np.zeros((ITEMS, ITEMS)), np.zeros(ITEMS), np.zeros(ITEMS)
    for history in HISTORIES:
        people[history.items] += 1
        latest[history.items[-3:]] += 1
        for later, item in enumerate(history.items):
            for between, other in enumerate(history.items[:later][::-1][: 5 if is_ordered else None]):
                following[other, item] += round(16 / (1 + between / 2) ** 0.5) / 16 if is_ordered else 5 / 16
    near = following + (0.25 if is_ordered else 1.0) * following.T
    expected = near * (people / people.mean() + 2)[:, None] ** -0.75 * people[None, :] ** -0.15
    if is_ordered:
        expected *= ((latest + 10) / (people * latest.sum() / people.sum() + 10))[None, :] ** 0.3
    np.testing.assert_allclose(weights_of(model), expected, rtol=1e-3, atol=1e-7)  # weights have 11 bits


@pytest.mark.parametrize("is_ordered", [True, False])
def test_the_federated_model_is_the_central_one_bit_for_bit(is_ordered: bool) -> None:
    chosen = recipe(is_ordered=is_ordered, cells_per_item=16)
    policy = RoundPolicy(aggregation_goal=len(HISTORIES))
    manifest = manifest_for(chosen, name="task", rounds=policy, round_budget=1, metrics=(), seed=1)
    simulation = Simulation(manifest, Population.of_recipe(chosen, HISTORIES, holdout=0))
    assert len(list(simulation.run())) == 1
    for name, tensor in solved(chosen).items():
        np.testing.assert_array_equal(simulation.parameters[name], tensor)
        assert tensor.any()


def test_what_follows_an_item_comes_before_what_precedes_it_and_before_what_is_popular() -> None:
    walks = [History(np.array([1, 2, 3])) for _ in range(5)]
    model = solved(recipe(), [*walks, *(History(np.array([40, 41])) for _ in range(20))])
    best = np.argsort(-recipe().score(model, {}, History(np.array([2]))))
    assert best[:4].tolist() == [3, 1, 40, 41]


def test_the_newest_item_says_most() -> None:
    walks = [History(np.array(pair)) for pair in ([1, 2], [3, 4]) for _ in range(5)]
    model = solved(recipe(), walks)
    scores = recipe().score(model, {}, History(np.array([1, 3])))
    assert scores[4] == pytest.approx(1.5**1.5 * scores[2], rel=1e-2)


def test_who_has_no_history_gets_what_is_popular_and_nobody_what_nobody_chose() -> None:
    model = solved(recipe(), [History(np.array([1, 2])), History(np.array([2, 5]))])
    scores = recipe().score(model, {}, History(np.zeros(0, dtype=np.int64)))
    assert np.argmax(scores) == 2
    assert set(np.flatnonzero(scores)) == {1, 2, 5}


def test_of_equal_neighbours_the_one_that_people_chose_lately_comes_first() -> None:
    walks = [History(np.array(items)) for items in ([1, 2, 3, 10, 11, 12], [10, 11, 12, 1, 3, 2]) for _ in range(20)]
    later = [History(np.array([20, 21, 22, 3])) for _ in range(20)]
    earlier = [History(np.array([2, 23, 24, 25])) for _ in range(20)]
    histories = [*walks, *later, *earlier]  # 2 and 3 have as many people, and are as near to 1
    without, with_trend = (
        recipe(trend=trend).score(solved(recipe(trend=trend), histories), {}, History(np.array([1])))
        for trend in (0.0, 0.3)
    )
    assert without[3] == pytest.approx(without[2])
    assert with_trend[3] > 1.1 * with_trend[2]


def test_without_order_any_order_gives_the_same_report() -> None:
    chosen, items = recipe(is_ordered=False), HISTORIES[0].items
    reports = [
        chosen.train({}, {}, History(order), chosen.training, np.random.default_rng(0)).report
        for order in (items, items[::-1].copy())
    ]
    for name, value in reports[0].items():
        np.testing.assert_array_equal(value, reports[1][name])
        assert value.any() == (name != LATEST_COUNT)


@pytest.mark.parametrize("is_ordered", [True, False])
@pytest.mark.parametrize("cells", [1, 512])
def test_the_longest_history_fits_a_byte_and_stays_within_the_norm(is_ordered: bool, cells: int) -> None:
    chosen = recipe(is_ordered=is_ordered, cells_per_item=cells)
    report = chosen.train({}, {}, History(np.arange(ITEMS)), chosen.training, np.random.default_rng(0)).report
    assert report[PAIR_COUNT].dtype == np.int8
    assert report[PAIR_COUNT].min() >= 0
    assert report[ITEM_COUNT].all()
    norm = sum(float((value.astype(np.float64) ** 2).sum()) for value in report.values()) ** 0.5
    assert 0 < norm <= chosen.largest_norm
    if cells == 1:
        assert report[PAIR_COUNT].max() == 127


def test_what_12101_items_cost() -> None:
    chosen = recipe(number_of_items=12_101)
    assert chosen.usual_rounds == 1
    assert sum(spec.size_bytes for spec in chosen.statistics) == pytest.approx(12.4e6, rel=0.01)
    assert sum(spec.size_bytes for spec in chosen.shared) == pytest.approx(4.7e6, rel=0.01)


def test_masked_bytes_are_four_for_a_cell_among_fifty_thousand_people() -> None:
    """Steps of one lose nothing of whole numbers, and the window bounds the norm of the longest history."""
    policy = RoundPolicy(aggregation_goal=50_000)
    plain = manifest_for(recipe(number_of_items=12_101), name="task", rounds=policy, round_budget=1, metrics=())
    masked = with_masks(plain)
    assert masked.fraction_bits >= 0
    assert masked.secure_aggregation is not None
    assert masked.secure_aggregation.modulus_bits == 32
