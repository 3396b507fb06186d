"""The filters in a subspace and in hashed counts: what they converge to, what one person can add."""

import numpy as np
import pytest

from fedrec.manifests import manifest_for
from fedrec_protocol.manifest import RoundPolicy
from fedrec_recipes.nearest_pairs import nearest_pairs
from fedrec_recipes.neighbour_lists import NEIGHBOUR_WEIGHTS, NEIGHBOURS
from fedrec_recipes.recipe import History
from fedrec_recipes.sketched_gfcf import PEOPLE, SKETCH, SketchedGfcf, SketchedGfcfConfig
from fedrec_recipes.subspace import BASIS
from simulation.population import Population
from simulation.simulation import Simulation
from tests.unit.recipes.data import people_with_taste

ITEMS = 60
TASTES = 4
HISTORIES = [
    History(history.items[: 4 + person % 9])
    for person, history in enumerate(people_with_taste(400, ITEMS, groups=TASTES))
]


def recipe(**config: object) -> SketchedGfcf:
    return SketchedGfcf(SketchedGfcfConfig.model_validate({"number_of_items": ITEMS, "dimension": 6, **config}))


def counted(basis: np.ndarray) -> dict[str, np.ndarray]:
    """A version after the first round: items have been counted, and the basis is this one."""
    return {BASIS: basis.astype(np.float16), PEOPLE: np.ones(ITEMS, dtype=np.float32)}


def leading(columns: int, activity: float, popularity: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Items' people, eigenvectors and eigenvalues, by a dense singular value decomposition of everybody's histories."""
    chosen = np.zeros((len(HISTORIES), ITEMS))
    for person, history in enumerate(HISTORIES):
        chosen[person, history.items] = 1
    people = np.maximum(chosen.sum(axis=0), 1)
    normalised = chosen.sum(axis=1, keepdims=True) ** (-activity / 2) * chosen * people**-popularity
    _, values, vectors = np.linalg.svd(normalised)
    return people, vectors[:columns].T, values[:columns] ** 2


def filtered(items: np.ndarray, activity: float, popularity: float) -> np.ndarray:
    """D^a Q Q^T D^-a h."""
    people, basis, _ = leading(TASTES, activity, popularity)
    whole = people[:, None] ** popularity * (basis @ basis.T) * people**-popularity
    return np.asarray(whole[:, items].sum(axis=1))


def regressed(items: np.ndarray, activity: float, popularity: float) -> np.ndarray:
    """Predictions of least squares over written-out rows: chosen items 1, all items 0, and the penalty."""
    people, basis, eigenvalues = leading(TASTES, activity, popularity)
    vectors = people[:, None] ** popularity * basis * eigenvalues**0.5
    vectors /= np.mean((vectors**2).sum(axis=1)) ** 0.5
    penalty = 0.02 * (len(items) + 50)
    rows = np.concatenate([vectors[items], (50 / ITEMS) ** 0.5 * vectors, penalty**0.5 * np.eye(TASTES)])
    wanted = np.concatenate([np.ones(len(items)), np.zeros(ITEMS + TASTES)])
    return np.asarray(vectors @ np.linalg.lstsq(rows, wanted)[0])


@pytest.mark.parametrize(("activity", "popularity"), [(0.6, 0.5), (0.0, 0.0), (1.0, 0.25)])
def test_rounds_converge_to_the_filter_and_the_regression_of_the_leading_singular_vectors(
    activity: float, popularity: float
) -> None:
    dampings = {"activity_damping": activity, "popularity_damping": popularity, "dimension": TASTES}
    by_filter = recipe(**dampings, vector_weight=0.0, filter_weight=1.0, neighbour_weight=0.0)
    by_vector = recipe(**dampings, vector_weight=1.0, filter_weight=0.0, neighbour_weight=0.0)
    errors = []
    for rounds in (1, 3, 10):
        shared = by_filter.train_central(HISTORIES, np.random.default_rng(0), rounds=rounds)
        for chosen, reference in ((by_filter, filtered), (by_vector, regressed)):
            scores = np.array([chosen.score(shared, {}, history) for history in HISTORIES[:40]])
            wanted = np.array([reference(history.items, activity, popularity) for history in HISTORIES[:40]])
            wanted /= wanted.std(axis=1, keepdims=True)
            errors.append(np.abs(scores - wanted).max() / np.abs(wanted).max())
    assert errors[0] > 3 * errors[2]
    assert errors[1] > 3 * errors[3]
    assert max(errors[4:]) < 5e-3  # the basis has 11 significant bits


def near(basis: np.ndarray, nearest: int) -> np.ndarray:
    """Which of each other are among the `nearest` by cosine, either way round; one by one, shape (n, n)."""
    directions = [row / np.linalg.norm(row) for row in basis.astype(float)]
    found = np.zeros((len(basis), len(basis)))
    for place, direction in enumerate(directions):
        others = [(float(direction @ other), number) for number, other in enumerate(directions) if number != place]
        for _, number in sorted(others, reverse=True)[:nearest]:
            found[place, number] = found[number, place] = 1
    return found


@pytest.mark.parametrize("target_damping", [0.3, 0.5])
def test_neighbours_are_pairs_that_the_basis_of_the_round_before_holds_near_each_other(target_damping: float) -> None:
    chosen = recipe(nearest=2, cells_per_item=20_000, neighbours=ITEMS, target_damping=target_damping)
    base = chosen.train_central(HISTORIES, np.random.default_rng(0), rounds=2)
    shared = chosen.train_central(HISTORIES, np.random.default_rng(0), base=base, rounds=1)
    counts, people = np.zeros((ITEMS, ITEMS)), np.zeros(ITEMS)
    for history in HISTORIES:
        people[history.items] += 1
        counts[np.ix_(history.items, history.items)] += near(base[BASIS][history.items], nearest=2)
    expected = counts / np.outer(people**0.5, people**target_damping)  # of (the item that speaks, its neighbour)
    found = np.zeros((ITEMS, ITEMS))
    np.add.at(found, (np.arange(ITEMS)[:, None], shared[NEIGHBOURS]), shared[NEIGHBOUR_WEIGHTS].astype(float))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-7)
    assert 0 < counts.sum() < 0.7 * sum(len(history) * (len(history) - 1) for history in HISTORIES)


def test_of_an_item_only_pairs_with_the_nearest_of_all_are_read() -> None:
    base = recipe().train_central(HISTORIES, np.random.default_rng(0), rounds=2)
    shared = recipe(candidates=4).train_central(HISTORIES, np.random.default_rng(0), base=base, rounds=1)
    rows = base[BASIS].astype(float)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    for item in range(ITEMS):
        nearest = np.argsort(-(unit @ unit[item]))[:4]  # itself and three others
        listed = shared[NEIGHBOURS][item][shared[NEIGHBOUR_WEIGHTS][item] > 0]
        assert set(listed.tolist()) <= set(nearest.tolist()) - {item}
    assert shared[NEIGHBOUR_WEIGHTS].any()


def test_scores_are_three_voices_in_standard_deviations() -> None:
    shared = recipe().train_central(HISTORIES, np.random.default_rng(0))
    items = HISTORIES[3].items

    def scored(vector: float, low_pass: float, neighbours: float) -> np.ndarray:
        weights = {"vector_weight": vector, "filter_weight": low_pass, "neighbour_weight": neighbours}
        return recipe(**weights).score(shared, {}, HISTORIES[3])

    linear = np.zeros(ITEMS)
    for item in items:
        for neighbour, weight in zip(shared[NEIGHBOURS][item], shared[NEIGHBOUR_WEIGHTS][item], strict=True):
            linear[neighbour] += weight
    np.testing.assert_allclose(scored(0, 0, 1), linear / linear.std(), rtol=1e-3, atol=1e-5)
    assert scored(1, 0, 0).std() == pytest.approx(1)
    assert scored(0, 1, 0).std() == pytest.approx(1)
    assert np.abs(scored(1, 0, 0) - scored(0, 1, 0)).max() > 0.1
    parts = 2 * scored(1, 0, 0) + 3 * scored(0, 1, 0) + 4 * scored(0, 0, 1)
    np.testing.assert_allclose(scored(2, 3, 4), parts, rtol=1e-3, atol=1e-4)


def test_a_random_basis_tells_no_neighbours_so_the_first_round_counts_no_pairs() -> None:
    chosen = recipe()
    after = [chosen.train_central(HISTORIES, np.random.default_rng(0), rounds=rounds) for rounds in (1, 2)]
    assert not after[0][NEIGHBOUR_WEIGHTS].any()
    assert after[1][NEIGHBOUR_WEIGHTS].any()
    assert chosen.score(after[0], {}, HISTORIES[0]).any()


def test_nearest_pairs_of_a_long_history_are_those_of_one_comparison_of_all() -> None:
    vectors = np.random.default_rng(0).normal(size=(600, 3)).astype(np.float32)  # more than are compared at once
    first, second = nearest_pairs(vectors, 4)
    found = np.zeros((600, 600))
    found[first, second] = 1
    np.testing.assert_array_equal(found + found.T, near(vectors, 4))
    assert (first < second).all()


def test_the_federated_model_is_the_central_one_to_rounding() -> None:
    chosen = recipe()
    manifest = manifest_for(
        chosen, name="task", rounds=RoundPolicy(aggregation_goal=50), round_budget=3, metrics=(), seed=1
    )
    simulation = Simulation(manifest, Population.of_recipe(chosen, HISTORIES[:50], holdout=0))
    base = dict(simulation.parameters)
    for _ in simulation.run():
        pass
    central = chosen.train_central(HISTORIES[:50], np.random.default_rng(0), base=base)
    for history in HISTORIES[:10]:
        # float16 rounds a column of the basis differently where the sums differ in their last bit.
        np.testing.assert_allclose(
            chosen.score(dict(simulation.parameters), {}, history), chosen.score(central, {}, history), atol=2e-3
        )


def test_any_order_of_a_history_and_any_repetition_gives_the_same_report() -> None:
    chosen, items = recipe(), HISTORIES[0].items
    base = counted(np.random.default_rng(1).normal(0, 0.05, (ITEMS, 6)))
    reports = [
        chosen.train(base, {}, History(order), chosen.training, np.random.default_rng(0)).report
        for order in (items, items[::-1].copy(), np.concatenate([items, items]))
    ]
    for name, value in reports[0].items():
        for other in reports[1:]:
            np.testing.assert_allclose(value.astype(float), other[name].astype(float), atol=1e-3)


@pytest.mark.parametrize("scale", [0.02, 1000.0])
def test_no_basis_takes_a_report_over_the_norm_bound(scale: float) -> None:
    chosen = recipe()
    base = counted(np.full((ITEMS, 6), scale))
    report = chosen.train(base, {}, History(np.arange(ITEMS)), chosen.training, np.random.default_rng(0)).report
    norm = sum(float((value.astype(np.float64) ** 2).sum()) for value in report.values()) ** 0.5
    assert norm <= chosen.largest_norm
    sketch = float(np.linalg.norm(report[SKETCH].astype(float)))
    assert 0.3 * ITEMS**0.4 < sketch <= 1.01 * ITEMS**0.4


def test_somebody_without_interactions_reports_zeros() -> None:
    chosen = recipe()
    base = counted(np.ones((ITEMS, 6)))
    empty = History(np.array([], dtype=np.int64))
    report = chosen.train(base, {}, empty, chosen.training, np.random.default_rng(0)).report
    assert not any(value.any() for value in report.values())
