"""Interactions, histories and splits."""

from pathlib import Path

import numpy as np

from fedrec.data.interactions import from_columns
from fedrec.data.movielens import read_genres, read_titles
from fedrec.data.split import leave_last_out


def test_a_history_is_in_the_order_of_time() -> None:
    data = from_columns(["a", "a", "a"], ["x", "y", "z"], np.array([30.0, 10.0, 20.0]))
    (history,) = data.histories()
    assert [data.item_ids[item] for item in history.items] == ["y", "z", "x"]
    assert history.times is not None
    assert history.times.tolist() == [10.0, 20.0, 30.0]


def test_equal_times_keep_the_order_of_the_source() -> None:
    data = from_columns(["a"] * 4, ["w", "x", "y", "z"], np.array([5.0, 5.0, 1.0, 5.0]))
    assert [data.item_ids[item] for item in data.histories()[0].items] == ["y", "w", "x", "z"]


def test_a_repeated_item_counts_once_at_its_first_time() -> None:
    data = from_columns(["a"] * 4, ["x", "y", "x", "z"])
    assert [data.item_ids[item] for item in data.histories()[0].items] == ["x", "y", "z"]


def test_histories_are_one_per_user_in_the_order_of_first_appearance() -> None:
    data = from_columns(["b", "a", "b"], ["x", "y", "z"])
    assert data.user_ids == ("b", "a")
    assert [len(history) for history in data.histories()] == [2, 1]


def test_rare_items_are_dropped_and_the_others_renumbered() -> None:
    data = from_columns(["a", "b", "a", "b", "c"], ["x", "y", "z", "z", "y"]).with_item_support(2)
    assert data.item_ids == ("y", "z")
    assert [history.items.tolist() for history in data.histories()] == [[1], [0, 1], [0]]


def test_the_last_interaction_is_for_the_test_and_the_one_before_for_validation() -> None:
    split = leave_last_out(from_columns(["a"] * 5 + ["b"] * 2, ["p", "q", "r", "s", "t", "p", "q"]).histories())
    assert [history.items.tolist() for history in split.train] == [[0, 1, 2], [0, 1]]
    assert [(case.person, case.history.items.tolist(), case.target) for case in split.validation] == [(0, [0, 1, 2], 3)]
    assert [(case.person, case.history.items.tolist(), case.target) for case in split.test] == [(0, [0, 1, 2, 3], 4)]


def test_titles_and_genres_come_by_film_id(tmp_path: Path) -> None:
    modern, old = tmp_path / "movies.csv", tmp_path / "movies.dat"
    modern.write_text('movieId,title,genres\n11,"American President, The (1995)",Comedy|Drama\n')
    old.write_text("11::American President, The (1995)::Comedy|Drama\n", encoding="latin-1")
    for file in (modern, old):
        assert read_titles(file) == {"11": "American President, The (1995)"}
        assert read_genres(file) == {"11": ("Comedy", "Drama")}
