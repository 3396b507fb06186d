"""Bayesian personalised ranking."""

import numpy as np
import pytest

from fedrec_recipes import ranking_loss
from fedrec_recipes.bpr import ITEM_BIAS, BayesianPersonalisedRanking, BprConfig
from fedrec_recipes.item_table import ITEM_EMBEDDINGS
from fedrec_recipes.recipe import History
from tests.unit.recipes.data import people_with_taste
from tests.unit.recipes.federate import first_version

RECIPE = BayesianPersonalisedRanking(BprConfig(number_of_items=60, dimension=6, item_regularisation=0.03))


def test_the_gradient_is_that_of_every_pair_of_a_chosen_and_another_item() -> None:
    torch = pytest.importorskip("torch")
    history, shared = people_with_taste()[0], first_version(RECIPE)
    result = RECIPE.gradient(shared, history, np.random.default_rng(0))
    embeddings, bias = (torch.tensor(shared[name], requires_grad=True) for name in (ITEM_EMBEDDINGS, ITEM_BIAS))
    scores = bias + embeddings @ torch.tensor(result.private["user_vector"])
    chosen = torch.tensor(history.items)
    others = torch.tensor(np.setdiff1d(np.arange(60), history.items))
    loss = torch.stack([-torch.nn.functional.logsigmoid(scores[i] - scores[j]) for i in chosen for j in others]).mean()
    penalty = (embeddings[chosen] ** 2).sum() / len(chosen) + (embeddings[others] ** 2).sum() / len(others)
    (loss + 0.03 / 2 * penalty).backward()
    np.testing.assert_allclose(result.shared[ITEM_EMBEDDINGS], embeddings.grad.numpy(), atol=1e-6)
    np.testing.assert_allclose(result.shared[ITEM_BIAS], bias.grad.numpy(), atol=1e-6)


def test_long_histories_are_compared_block_by_block_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.random.default_rng(0).normal(size=50).astype(np.float32)
    whole = ranking_loss.gradient_by_scores(scores, np.arange(20))
    monkeypatch.setattr(ranking_loss, "_ROWS_AT_ONCE", 3)
    for one, other in zip(whole, ranking_loss.gradient_by_scores(scores, np.arange(20)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7)


def test_no_other_user_vector_has_a_smaller_loss_than_the_solved_one() -> None:
    generator = np.random.default_rng(1)
    differences = generator.normal(size=(40, 3)).astype(np.float32)
    leads = generator.normal(size=40).astype(np.float32)
    solved = ranking_loss.solve(differences, leads, regularisation=0.1)

    def loss(vector: np.ndarray) -> float:
        return float(np.log1p(np.exp(-(leads + differences @ vector))).mean() + 0.05 * (vector**2).sum())

    assert loss(solved) < min(loss(solved + step) for step in 0.1 * generator.normal(size=(200, 3)))


def test_a_report_is_dense_whatever_the_person_chose() -> None:
    report = RECIPE.train(
        first_version(RECIPE), {}, people_with_taste()[0], RECIPE.training, np.random.default_rng(0)
    ).report
    assert np.count_nonzero(report[ITEM_EMBEDDINGS]) == report[ITEM_EMBEDDINGS].size


def test_somebody_without_a_history_gets_the_items_that_are_preferred_by_all() -> None:
    shared = first_version(RECIPE)
    shared[ITEM_BIAS] = np.arange(60, dtype=np.float32)
    np.testing.assert_array_equal(RECIPE.score(shared, {}, History(np.zeros(0, np.int64))), shared[ITEM_BIAS])
