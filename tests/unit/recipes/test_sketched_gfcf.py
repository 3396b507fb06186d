"""The low-pass filter in a subspace: what it converges to, what it costs, what one person can add."""

import numpy as np
import pytest

from fedrec.manifests import manifest_for
from fedrec_protocol.manifest import RoundPolicy
from fedrec_recipes.recipe import History
from fedrec_recipes.sketched_gfcf import SketchedGfcf, SketchedGfcfConfig
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


def exact_filter(columns: int, activity: float, popularity: float) -> np.ndarray:
    """D^a Q Q^T D^-a, shape (ITEMS, ITEMS), by a dense singular value decomposition of everybody's histories."""
    chosen = np.zeros((len(HISTORIES), ITEMS))
    for person, history in enumerate(HISTORIES):
        chosen[person, history.items] = 1
    people = np.maximum(chosen.sum(axis=0), 1)
    normalised = chosen.sum(axis=1, keepdims=True) ** (-activity / 2) * chosen * people**-popularity
    basis = np.linalg.svd(normalised)[2][:columns].T
    return np.asarray(people[:, None] ** popularity * (basis @ basis.T) * people**-popularity)


@pytest.mark.parametrize(("activity", "popularity"), [(0.6, 0.5), (0.0, 0.0), (1.0, 0.25)])
def test_rounds_converge_to_the_filter_of_the_leading_singular_vectors(activity: float, popularity: float) -> None:
    chosen = recipe(activity_damping=activity, popularity_damping=popularity, dimension=TASTES)
    expected = exact_filter(TASTES, activity, popularity)
    errors = []
    for rounds in (1, 3, 10):
        shared = chosen.train_central(HISTORIES, np.random.default_rng(0), rounds=rounds)
        scores = np.array([chosen.score(shared, {}, history) for history in HISTORIES[:40]])
        wanted = np.array([expected[:, history.items].sum(axis=1) for history in HISTORIES[:40]])
        errors.append(np.abs(scores - wanted).max() / np.abs(wanted).max())
    assert errors[0] > 3 * errors[1]
    assert errors[2] < 5e-3  # the basis has 11 significant bits


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
    base = {BASIS: np.random.default_rng(1).normal(0, 0.05, (ITEMS, 6)).astype(np.float16)}
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
    base = {BASIS: np.full((ITEMS, 6), scale, dtype=np.float16)}
    report = chosen.train(base, {}, History(np.arange(ITEMS)), chosen.training, np.random.default_rng(0)).report
    norm = sum(float((value.astype(np.float64) ** 2).sum()) for value in report.values()) ** 0.5
    assert 0.3 * chosen.largest_norm < norm <= chosen.largest_norm


def test_somebody_without_interactions_reports_zeros() -> None:
    chosen = recipe()
    base = {BASIS: np.ones((ITEMS, 6), dtype=np.float16)}
    empty = History(np.array([], dtype=np.int64))
    report = chosen.train(base, {}, empty, chosen.training, np.random.default_rng(0)).report
    assert not any(value.any() for value in report.values())
