"""The results page: what a row says, and that rows survive."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality.combination import combined
from benchmarks.quality.data import QualityData, Question, gowalla, leave_one_out, pfedrec_split
from benchmarks.quality.entries import Entry, Table
from benchmarks.quality.kept import Versions
from benchmarks.quality.page import page
from benchmarks.quality.rows import Row, Values
from benchmarks.quality.run import rows_of
from benchmarks.quality.stored import Stored
from benchmarks.quality.training import Stage, federated
from fedrec_recipes.combined import MEMBER_WEIGHTS
from fedrec_recipes.evaluation import HeldOut
from tests.unit.recipes.data import people_with_taste

ITEMS = 60


def some_people() -> QualityData:
    people = people_with_taste(80, ITEMS)
    return QualityData(
        name="Small",
        number_of_items=ITEMS,
        train=[person.without_last(2) for person in people],
        validation=[HeldOut(p, person.without_last(2), int(person.items[-2])) for p, person in enumerate(people)],
        test=[Question(p, person.without_last(1), person.items[-1:]) for p, person in enumerate(people)],
        negatives=[np.setdiff1d(np.arange(ITEMS), person.items)[:20] for person in people],
    )


def small_table(*entries: Entry) -> Table:
    return Table("ml-1m", lambda _: some_people(), entries, "everything")


def rows(entry: Entry) -> list[Row]:
    return list(rows_of(small_table(entry), entry, some_people()))


def test_a_linear_recipe_scores_the_same_federated_and_centrally() -> None:
    federated, central = rows(Entry("ease", (Stage("ease"),), with_central=True))
    assert (federated.how, central.how) == ("federated", "central")
    assert (federated.hr, federated.ndcg, federated.coverage) == (central.hr, central.ndcg, central.coverage)
    assert federated.hr.mean > 3 * 10 / ITEMS  # people have taste, and the model finds it
    assert federated.megabytes_up == pytest.approx(ITEMS * (ITEMS + 1) / 2 / 1e6, rel=0.5)  # a byte for each pair


def test_a_chain_of_stages_counts_the_rounds_and_bytes_of_all() -> None:
    (two,) = rows(Entry("twice", (Stage("ease"), Stage("ease", holdout=0))))
    (one,) = rows(Entry("once", (Stage("ease"),)))
    assert (one.rounds, two.rounds) == (1, 2)
    assert two.megabytes_down == pytest.approx(2 * one.megabytes_down)


def test_who_is_asked_in_a_quarter_of_the_rounds_sends_a_quarter_of_the_bytes() -> None:
    (all_,) = rows(Entry("mf", (Stage("mf", {"dimension": 4}, rounds=4),)))
    (some,) = rows(Entry("mf", (Stage("mf", {"dimension": 4}, rounds=4, cohort=20),)))
    assert some.rounds == all_.rounds == 4
    assert some.megabytes_up == pytest.approx(all_.megabytes_up * 20 / 80, rel=0.01)


MEMBERS = ((Stage("popularity"),), (Stage("mf", {"dimension": 4}, rounds=2), Stage("mf", {"dimension": 4}, rounds=1)))


def test_a_combined_row_counts_its_members_and_the_round_in_which_devices_choose() -> None:
    (trained,) = rows(Entry("sum", members=MEMBERS))
    (refitted,) = rows(Entry("sum", members=MEMBERS, fit="train + validation"))
    assert (trained.rounds, refitted.rounds) == (1 + 3 + 1, 2 * (1 + 3) + 1)
    members = [rows(Entry("member", chain))[0] for chain in MEMBERS]
    assert trained.megabytes_up > sum(member.megabytes_up for member in members)


def test_the_member_that_ranks_the_validation_items_best_gets_the_most_weight() -> None:
    data = some_people()
    everything = Stage("ease", {"regularisation": 1e-3}, holdout=0)  # it learnt what devices choose by
    model = combined(data, ((Stage("popularity"),), (everything,)), 0, is_refitted=False, versions=Versions(None))
    assert model.shared[MEMBER_WEIGHTS][1] > model.shared[MEMBER_WEIGHTS][0]


def test_a_kept_member_is_the_one_that_was_trained_and_other_settings_are_another(tmp_path: Path) -> None:
    data, versions = some_people(), Versions(tmp_path)
    trained, kept = (versions.trained(data, MEMBERS[1], 0) for _ in range(2))
    other = versions.trained(data, MEMBERS[1], 1)
    assert len(list(tmp_path.glob("*.safetensors"))) == 2
    assert (kept.rounds, kept.bytes_up, kept.bytes_down) == (3, trained.bytes_up, trained.bytes_down)
    fresh = federated(data, MEMBERS[1], 0)
    for name, values in fresh.shared.items():
        np.testing.assert_array_equal(kept.shared[name], values)
    assert any((other.shared[name] != values).any() for name, values in fresh.shared.items())


def test_a_private_row_says_what_the_ledger_says() -> None:
    (row,) = rows(Entry("private", (Stage("neighbours", epsilon=8.0),), seeds=(0, 1)))
    assert row.epsilon is not None
    assert 7.5 < row.epsilon <= 8.0


def test_what_is_random_has_a_spread_over_its_seeds() -> None:
    (row,) = rows(Entry("mf", (Stage("mf", {"dimension": 4}, rounds=2),), seeds=(0, 1, 2)))
    assert row.seeds == 3
    assert row.spread is not None
    assert 0 < row.spread < 0.2
    assert row.ndcg.low < row.ndcg.mean < row.ndcg.high


def test_federated_minus_central_is_told_with_its_standard_error_over_the_seeds() -> None:
    """Differences of -1, 1 and 3 thousandths: mean 1, standard deviation 2, standard error 2 / sqrt(3); central 50."""
    federated, central = rows(Entry("ease", (Stage("ease"),), with_central=True))
    federated = federated.model_copy(update={"ndcg_by_seed": [0.049, 0.051, 0.053], "seeds": 3})
    central = central.model_copy(update={"ndcg_by_seed": [0.05] * 3})
    assert "| ease | 3 | 0.0510 | 0.0500 | +0.0010 | +2.0 +- 2.3 |" in page([federated, central], {})


def test_rows_of_other_seeds_are_not_compared() -> None:
    federated, central = rows(Entry("mf", (Stage("mf", {"dimension": 4}, rounds=2),), seeds=(0, 1), with_central=True))
    assert "Federated against central" in page([federated, central], {})
    fewer = central.model_copy(update={"ndcg_by_seed": [0.1]})
    assert "Federated against central" not in page([federated, fewer], {})


def test_a_row_made_again_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    (row,) = rows(Entry("popularity", (Stage("popularity"),)))
    stored = Stored.read(file)
    stored.put(row.model_copy(update={"seconds": 99.0}))
    stored.put(row)
    stored.probes["Small"] = 0.1
    stored.write(file)
    assert Stored.read(file) == Stored(rows=[row], probes={"Small": 0.1})
    text = page(stored.rows, stored.probes)
    assert f"**{row.hr.mean:.4f}**" in text
    assert "| Small | 0.100 |" in text


def test_a_federated_row_stands_before_its_central_one_whichever_was_made_first() -> None:
    federated, central = rows(Entry("ease", (Stage("ease"),), with_central=True))
    text = page([central, federated], {})
    assert text.index("| ease | federated |") < text.index("| ease | central |")


def test_a_split_of_pfedrec_puts_validation_before_test(tmp_path: Path) -> None:
    folder = tmp_path / "x" / "pfedrec_split"
    folder.mkdir(parents=True)
    (folder / "train.csv").write_text("userId,itemId,rating,timestamp\n0,4,5,30\n0,2,5,10\n1,3,1,7\n")
    (folder / "valid.txt").write_text("0 5 6\n1 0 2\n")
    (folder / "test.txt").write_text("0 1 6\n1 6 2\n")
    data = pfedrec_split(tmp_path, "x", "X", 7)
    assert [history.items.tolist() for history in data.train] == [[2, 4], [3]]
    assert [(case.history.items.tolist(), case.targets.tolist()) for case in data.test] == [
        ([2, 4, 5], [1]),
        ([3, 0], [6]),
    ]
    assert [history.items.tolist() for history in data.on_devices] == [[2, 4, 5], [3, 0]]


def test_leave_one_out_holds_back_two_items_of_everybody(tmp_path: Path) -> None:
    file = tmp_path / "people.txt"
    file.write_text("ada a b c d\nbob b a\n")
    data = leave_one_out(file, "X")
    assert [history.items.tolist() for history in data.train] == [[0, 1]]
    assert [(case.history.items.tolist(), case.target) for case in data.validation] == [([0, 1], 2)]
    assert [(case.history.items.tolist(), case.targets.tolist()) for case in data.test] == [([0, 1, 2], [3])]


def test_several_targets_are_measured_by_recall_and_an_ideal_list() -> None:
    """Targets at ranks 1, 3 and 30 of a list of 20: two of three, and the gain of 1 and 3 over that of 1, 2, 3."""
    values = Values.of([np.array([1, 3, 30])], 20)
    assert values.hits.tolist() == pytest.approx([2 / 3])
    assert values.gains.tolist() == pytest.approx([(1 + 1 / 2) / (1 + 1 / np.log2(3) + 1 / 2)])


def test_people_without_a_test_item_are_not_asked(tmp_path: Path) -> None:
    folder = tmp_path / "gowalla-lightgcn"
    folder.mkdir()
    (folder / "train.txt").write_text("0 4 2\n1 3\n")
    (folder / "test.txt").write_text("0 1 5\n1\n")
    data = gowalla(tmp_path)
    assert [(case.person, case.targets.tolist()) for case in data.test] == [(0, [1, 5])]
    assert [history.items.tolist() for history in data.on_devices] == [[4, 2], [3]]
