"""Published and independently measured figures on ML-100K, with the frozen split of PFedRec (IJCAI 2023)."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from fedrec_protocol.manifest import RecipeChoice
from fedrec_recipes.catalogue import recipe
from fedrec_recipes.evaluation import HeldOut, mean_metric, ranks, sampled_ranks
from fedrec_recipes.recipe import History

DATA = Path(os.environ.get("FEDREC_DATA", Path(__file__).parents[4] / "shared" / "data")) / "ml-100k" / "pfedrec_split"
ITEMS = 1682


@pytest.fixture(scope="module")
def split() -> tuple[list[History], list[HeldOut], list[np.ndarray]]:
    """Training histories, test cases (whose history is the training one) and the frozen negatives."""
    if not DATA.is_dir():
        pytest.skip(f"no data at {DATA}")
    rows: dict[int, list[tuple[float, int]]] = {}
    with (DATA / "train.csv").open() as lines:
        for row in csv.DictReader(lines):
            rows.setdefault(int(row["userId"]), []).append((float(row["timestamp"]), int(row["itemId"])))
    train = [
        History(np.array([item for _, item in sorted(rows[user], key=lambda pair: pair[0])])) for user in sorted(rows)
    ]
    listed = np.loadtxt(DATA / "test.txt", dtype=np.int64)
    cases = [HeldOut(int(line[0]), train[int(line[0])], int(line[1])) for line in listed]
    return train, cases, list(listed[:, 2:])


@pytest.mark.parametrize(
    ("name", "config", "sampled", "full"),
    [
        ("popularity", {}, (0.419, 0.231), (0.082, 0.039)),
        ("ease", {"regularisation": 4.0}, (0.650, 0.375), (0.139, 0.069)),
    ],
)
def test_baselines_score_what_others_measured(
    split: tuple[list[History], list[HeldOut], list[np.ndarray]],
    name: str,
    config: dict[str, float],
    sampled: tuple[float, float],
    full: tuple[float, float],
) -> None:
    train, cases, negatives = split
    chosen = recipe(RecipeChoice(name=name, config={"number_of_items": ITEMS, **config}))
    shared = chosen.train_central(train, np.random.default_rng(0))

    def score(history: History) -> np.ndarray:
        return chosen.score(shared, {}, history)

    for found, expected in ((sampled_ranks(score, cases, negatives), sampled), (ranks(score, cases), full)):
        # Half a point for the regularisation and the ties that others chose; the standard error is 1 to 1.6.
        assert mean_metric("hr@10", found) == pytest.approx(expected[0], abs=0.006)
        assert mean_metric("ndcg@10", found) == pytest.approx(expected[1], abs=0.006)
