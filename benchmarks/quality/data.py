"""The data sets, each with the split that others published figures for."""

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fedrec.data.opening import read_interactions
from fedrec.data.split import leave_last_out
from fedrec_recipes.evaluation import HeldOut
from fedrec_recipes.recipe import History


@dataclass(frozen=True)
class Question:
    """Who, what they had done so far, and what they did next: one item, or several."""

    person: int
    history: History
    targets: NDArray[np.int64]


@dataclass(frozen=True)
class QualityData:
    """Who learns from what, and what comes next."""

    name: str
    number_of_items: int
    train: list[History]
    """One history per person, oldest first, without what is held out."""
    validation: list[HeldOut]
    """What choices are made on."""
    test: list[Question]
    """What is looked at once. Histories include the validation item, which is known by then."""
    negatives: list[NDArray[np.int64]] | None = None
    """For each test case the published sampled negatives."""
    cutoff: int = 10
    """Places of the list that counts."""

    @property
    def on_devices(self) -> list[History]:
        """What devices hold when the test item is not there yet: all the rest."""
        known = {case.person: case.history for case in self.test}
        return [known.get(person, history) for person, history in enumerate(self.train)]


def movielens_1m(folder: Path) -> QualityData:
    """MovieLens-1M, the split and the negatives of He et al. 2017; the last training item validates."""
    ncf = folder / "ml-1m" / "ncf"
    lines = [np.array(line.split(), dtype=np.int64) for line in _lines(ncf / "ml-1m.train.reconstructed.txt")]
    known = {int(line[0]): History(line[1:]) for line in lines}
    tests = np.loadtxt(ncf / "ml-1m.test.rating", dtype=np.int64, usecols=(0, 1))
    negatives = [np.array(line.split()[1:], dtype=np.int64) for line in _lines(ncf / "ml-1m.test.negative")]
    people = [known[int(user)] for user, _ in tests]
    return QualityData(
        name="MovieLens-1M",
        number_of_items=3706,
        train=[history.without_last(1) for history in people],
        validation=[HeldOut(p, history.without_last(1), int(history.items[-1])) for p, history in enumerate(people)],
        test=[Question(p, people[p], np.array([item])) for p, (_, item) in enumerate(tests)],
        negatives=negatives,
    )


def pfedrec_split(folder: Path, subfolder: str, name: str, number_of_items: int) -> QualityData:
    """A leave-one-out split in the form of PFedRec (Zhang et al. 2023), with its frozen negatives."""
    split = folder / subfolder / "pfedrec_split"
    rows: dict[int, list[tuple[float, int]]] = defaultdict(list)
    with (split / "train.csv").open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            rows[int(row["userId"])].append((float(row["timestamp"]), int(row["itemId"])))
    train = [_by_time(rows[person]) for person in range(len(rows))]
    validation, _ = _listed(split / "valid.txt")
    test, negatives = _listed(split / "test.txt")
    held_out = dict(validation)
    return QualityData(
        name=name,
        number_of_items=number_of_items,
        train=train,
        validation=[HeldOut(person, train[person], item) for person, item in validation],
        test=[
            Question(person, _followed_by(train[person], held_out[person]), np.array([item])) for person, item in test
        ],
        negatives=negatives,
    )


def leave_one_out(path: Path, name: str, minimum_support: int = 1) -> QualityData:
    """Everybody's last item tests, the one before validates; people with fewer than three are left out."""
    interactions = read_interactions(path).with_item_support(minimum_support)
    split = leave_last_out([history for history in interactions.histories() if len(history) >= 3])
    test = [Question(case.person, case.history, np.array([case.target])) for case in split.test]
    return QualityData(name, interactions.number_of_items, split.train, split.validation, test)


def gowalla(folder: Path) -> QualityData:
    """Gowalla check-ins, the split of LightGCN (He et al. 2020): several test items each, and no order."""
    train, test = (_sets(folder / "gowalla-lightgcn" / file) for file in ("train.txt", "test.txt"))
    return QualityData(
        name="Gowalla",
        number_of_items=40_981,
        train=[History(items) for items in train],
        validation=[],
        test=[Question(p, History(train[p]), targets) for p, targets in enumerate(test) if len(targets)],
        cutoff=20,
    )


def _by_time(pairs: list[tuple[float, int]]) -> History:
    """Equal times stay in the order of the file."""
    ordered = sorted(pairs, key=lambda pair: pair[0])
    return History(np.array([item for _, item in ordered]), np.array([time for time, _ in ordered]))


def _followed_by(history: History, item: int) -> History:
    """The history and the item after it; when that was is not known."""
    return History(np.append(history.items, item))


def _sets(path: Path) -> list[NDArray[np.int64]]:
    """Lines of `user item item ...`, one for each user in order."""
    return [np.array(line.split()[1:], dtype=np.int64) for line in _lines(path)]


def _listed(path: Path) -> tuple[list[tuple[int, int]], list[NDArray[np.int64]]]:
    """Lines of `user item negative ...`."""
    table = np.loadtxt(path, dtype=np.int64)
    return [(int(user), int(item)) for user, item in table[:, :2]], list(table[:, 2:])


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()
