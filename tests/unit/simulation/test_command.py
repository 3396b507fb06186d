"""`fedrec simulate` from a file to a folder of results."""

import hashlib
import json
from pathlib import Path

import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from fedrec.cli import app
from fedrec.manifests import read_manifest
from fedrec_protocol import codec
from tests.unit.recipes.data import people_with_taste

ROUNDS = 3


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "interactions.csv"
    rows = [
        f"{person},{item},{time}"
        for person, history in enumerate(people_with_taste(30, 40))
        for time, item in enumerate(history.items)
    ]
    path.write_text("\n".join(["user,item,time", *rows]) + "\n")
    return path.parent


def simulate(data: Path, out: Path, *arguments: str) -> str:
    recipe = ["--recipe", "mf", "--config", '{"dimension": 4}']
    command = ["simulate", str(data), "--rounds", str(ROUNDS), *recipe, "--out", str(out)]
    result = CliRunner().invoke(app, [*command, *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_folder_holds_rounds_test_model_manifest_and_plots(data: Path, tmp_path: Path) -> None:
    output = simulate(data, tmp_path, "--baselines")
    assert {path.name for path in tmp_path.iterdir()} == {
        "manifest.json",
        "metrics-by-megabytes.png",
        "metrics-by-rounds.png",
        "model.safetensors",
        "rounds.parquet",
        "test.parquet",
    }
    rounds = parquet.read_table(tmp_path / "rounds.parquet").to_pylist()
    assert [row["kind"] for row in rounds] == ["training"] * ROUNDS + ["evaluation"]
    assert [row["reports"] for row in rounds] == [30] * (ROUNDS + 1)
    assert {"hr@10", "ndcg@10", "bytes_up", "bytes_down", "epsilon"} <= rounds[0].keys()
    model = (tmp_path / "model.safetensors").read_bytes()
    assert hashlib.sha256(model).hexdigest() == rounds[-1]["digest"]
    tested = parquet.read_table(tmp_path / "test.parquet").to_pylist()
    assert {row["model"] for row in tested} == {
        "mf, federated",
        "popularity",
        "mf, trained centrally",
        "ease, trained centrally",
    }
    assert all(row["low"] <= row["mean"] <= row["high"] for row in tested)
    assert "popularity" in output


def test_the_bytes_of_a_round_are_those_of_its_files(data: Path, tmp_path: Path) -> None:
    simulate(data, tmp_path)
    first = parquet.read_table(tmp_path / "rounds.parquet").to_pylist()[0]
    assert first["bytes_down"] == 30 * len((tmp_path / "model.safetensors").read_bytes())
    shared = json.loads((tmp_path / "manifest.json").read_text())["shared"]
    elements = sum(spec["shape"][0] * (spec["shape"][1:] or [1])[0] for spec in shared)
    # The delta in float32, one int64, three float32, and a header of a few hundred bytes.
    assert 0 < first["bytes_up"] / 30 - (4 * elements + 8 + 12) < 600


def test_a_seed_repeats_a_run_with_dropouts_stragglers_and_attackers(data: Path, tmp_path: Path) -> None:
    def digest(seed: int, name: str) -> str:
        devices = ("--cohort", "10", "--over-selection", "1.5", "--dropout", "0.2", "--stragglers", "0.8")
        attack = ("--attack", "label-shuffling", "--attackers", "0.2", "--availability", "daily")
        simulate(data, tmp_path / name, *devices, *attack, "--seed", str(seed))
        return str(parquet.read_table(tmp_path / name / "rounds.parquet").to_pylist()[-1]["digest"])

    assert digest(1, "first") == digest(1, "again")
    assert digest(1, "first") != digest(2, "other")


def test_a_private_run_accounts_for_epsilon_and_plots_against_it(data: Path, tmp_path: Path) -> None:
    policy = {"noise_multiplier": 1.0, "budget_epsilon": 50.0, "target_delta": 1e-5}
    simulate(data, tmp_path, "--privacy", json.dumps(policy), "--clipping-norm", "2")
    spent = [row["epsilon"] for row in parquet.read_table(tmp_path / "rounds.parquet").to_pylist()]
    assert 0 < spent[0] < spent[1] < spent[2]
    assert (tmp_path / "metrics-by-epsilon.png").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--recipe", "nonsense"], "unknown recipe"),
        (["--attack", "nonsense"], "unknown attack"),
        (["--config", "nonsense"], "not JSON"),
        (["--config", '{"dimensions": 3}'], "dimensions: Extra inputs are not permitted"),
        (["--training", '{"learning_rat": 3}'], "training.learning_rat: Extra inputs are not permitted"),
        (["--training", "[]"], "not a JSON object"),
        (["--cohort", "5", "--minimum-reports", "6"], "minimum_reports is larger"),
        (["--availability", "nowhere.csv"], "nowhere.csv"),
        (
            ["--recipe", "mf", "--privacy", '{"noise_multiplier": 1, "budget_epsilon": 0.1, "target_delta": 1e-5}'],
            "no room for one",
        ),
    ],
)
def test_a_wrong_option_is_explained(data: Path, tmp_path: Path, arguments: list[str], complaint: str) -> None:
    result = CliRunner().invoke(app, ["simulate", str(data), "--out", str(tmp_path), *arguments])
    assert result.exit_code == 2
    assert complaint in result.output


def test_a_task_that_nobody_can_finish_ends_with_an_explanation(data: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["simulate", str(data), "--dropout", "1", "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "abandoned for want of reports" in result.output


def test_a_folder_without_data_is_explained(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["simulate", str(tmp_path)])
    assert result.exit_code == 2
    assert "ratings.csv" in result.output


def test_a_recipe_with_content_is_given_the_genres_that_lie_beside_the_interactions(data: Path, tmp_path: Path) -> None:
    genres = [f"{item}::Film {item}::{'Odd' if item % 2 else 'Even'}" for item in range(40)]
    (tmp_path / "movies.dat").write_text("\n".join(genres))
    (tmp_path / "interactions.csv").write_bytes((data / "interactions.csv").read_bytes())
    simulate(tmp_path, tmp_path / "out", "--recipe", "two-tower")
    config = json.loads((tmp_path / "out" / "manifest.json").read_text())["recipe"]["config"]
    assert config["number_of_features"] == 2
    assert config["content"]


def test_without_a_recipe_the_blend_is_tuned_in_its_usual_rounds(data: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["simulate", str(data), "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    rounds = parquet.read_table(tmp_path / "rounds.parquet").to_pylist()
    assert [row["kind"] for row in rounds] == ["training", "training", "evaluation"]
    assert "blend, federated" in result.output


def test_what_was_taken_for_what_is_said_before_anything_is_trained(data: Path, tmp_path: Path) -> None:
    output = simulate(data, tmp_path)
    assert "users from 'user', items from 'item', times from 'time'" in output.partition("round")[0]


def test_of_rows_in_the_order_of_items_it_is_said_that_there_is_no_last_one(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "sorted.csv"
    rows = [line.split(",")[:2] for line in (data / "interactions.csv").read_text().splitlines()[1:]]
    ordered = sorted((int(user), int(item)) for user, item in rows)
    path.write_text("\n".join(["user,item", *(f"{user},{item}" for user, item in ordered)]) + "\n")
    assert "figures on last items say nothing" in simulate(path, tmp_path)
    assert "figures on last items say nothing" not in simulate(data, tmp_path)


def test_members_of_a_combined_model_are_trained_first_and_written_beside_it(data: Path, tmp_path: Path) -> None:
    members = '{"members": [{"name": "popularity"}, {"name": "ease", "config": {"regularisation": 5}}]}'
    command = ["simulate", str(data), "--recipe", "combined", "--config", members, "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    (weights,) = [line for line in result.output.splitlines() if line.startswith("Weights: ")]
    held = codec.decode((tmp_path / "out" / "model.safetensors").read_bytes())
    popularity, ease = held["member_weights"].tolist()
    assert weights == f"Weights: popularity {popularity:g}, ease {ease:g}"
    for place, (name, tensor) in enumerate((("popularity", "item_count"), ("ease", "item_weights"))):
        folder = tmp_path / "out" / f"member{place}-{name}"
        member = codec.decode((folder / "model.safetensors").read_bytes())
        assert (member[tensor] == held[f"member{place}.{tensor}"]).all()
        assert read_manifest(folder / "manifest.json").recipe.name == name
    tested = parquet.read_table(tmp_path / "out" / "test.parquet").to_pylist()
    assert {row["model"] for row in tested} == {"combined, federated", "popularity, federated", "ease, federated"}

    manifest = tmp_path / "out" / "manifest.json"
    again = ["simulate", str(data), "--manifest", str(manifest), "--out", str(tmp_path / "again")]
    assert CliRunner().invoke(app, again).exit_code == 0
    files = [tmp_path / name / "model.safetensors" for name in ("out", "again")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_several_manifests_are_those_of_the_members_of_a_combined_model(data: Path, tmp_path: Path) -> None:
    manifests = []
    for recipe, config in (("popularity", "{}"), ("ease", '{"regularisation": 5}')):
        out = tmp_path / recipe
        command = ["simulate", str(data), "--recipe", recipe, "--config", config, "--out", str(out)]
        assert CliRunner().invoke(app, command).exit_code == 0
        manifests += ["--manifest", str(out / "manifest.json")]
    result = CliRunner().invoke(app, ["simulate", str(data), *manifests, "--out", str(tmp_path / "both")])
    assert result.exit_code == 0, result.output
    held = codec.decode((tmp_path / "both" / "model.safetensors").read_bytes())
    for place, (name, tensor) in enumerate((("popularity", "item_count"), ("ease", "item_weights"))):
        alone = codec.decode((tmp_path / name / "model.safetensors").read_bytes())
        assert (alone[tensor] == held[f"member{place}.{tensor}"]).all()
