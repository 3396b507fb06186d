"""From a file that nobody prepared to a task that recommends better than popularity, by the command line alone."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from fedrec.cli import app
from fedrec.data.opening import read_interactions
from fedrec.demo.films import FOLDER
from fedrec_protocol.manifest import TaskManifest
from simulation.advice.advice import advise
from simulation.advice.wishes import Wishes

PEOPLE, FILMS = 250, 150


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MovieLens as a shop might have it: its own names and dates, the newest first, and some rows that say nothing."""
    films = read_interactions(FOLDER)
    assert films.times is not None
    kept = np.argsort(-np.bincount(films.items))[:FILMS]
    rows = np.flatnonzero(np.isin(films.items, kept) & (films.users < PEOPLE))
    rows = rows[np.argsort(-films.times[rows], kind="stable")]
    path = tmp_path_factory.mktemp("shop") / "orders.csv"
    with path.open("w", encoding="utf-8") as lines:
        lines.write("Order Nr;Customer;Product;Amount;When\n;;P-1;1;\n")
        for number, row in enumerate(rows):
            when = datetime.fromtimestamp(films.times[row], UTC).isoformat()
            lines.write(f"{number % 7};Zoë {films.users[row]};P-{films.items[row]};1;{when}\n")
    return path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fedrec", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, encoding="utf-8")


def test_what_is_proposed_runs_and_recommends_better_than_popularity(shop: Path) -> None:
    advised = run(shop.parent, "recommend-config", shop.name, "--minutes", "0.1", "--json")
    assert advised.returncode == 0, advised.stderr
    found = json.loads(advised.stdout)
    assert "users from 'Customer', items from 'Product', times from 'When' (ISO 8601" in found["reading"][0]
    assert found["reading"][1] == "1 rows without a value were left out."
    options = ("--manifest", "recommended-task.json", "--baselines", "--out", "results")
    simulated = run(shop.parent, "simulate", shop.name, *options)
    assert simulated.returncode == 0, simulated.stderr
    tested = parquet.read_table(shop.parent / "results" / "test.parquet").to_pylist()
    ndcg = {row["model"]: row["mean"] for row in tested if row["metric"] == "ndcg@10"}
    proposed = ndcg[f"{found['proposal']['recipe']}, federated"]
    assert proposed > 1.5 * ndcg["popularity"]
    measured = parquet.read_table(shop.parent / "results" / "rounds.parquet").to_pylist()[-1]["ndcg@10"]
    assert measured == pytest.approx(found["proposal"]["expected"]["metrics"]["ndcg@10"]["mean"], rel=0.02)


def test_the_same_advice_comes_from_python(shop: Path) -> None:
    advice = advise(Wishes(data=shop, seconds=0), lambda _: None)
    assert TaskManifest.model_validate(advice.manifest.model_dump()) == advice.manifest
    assert advice.expected.metrics["ndcg@10"].mean > advice.baseline.metrics["ndcg@10"].mean


def test_a_file_that_says_nothing_of_its_columns_is_read_by_the_options_that_the_refusal_names(shop: Path) -> None:
    lines = shop.read_text(encoding="utf-8").splitlines()
    (shop.parent / "bare.csv").write_text("\n".join(["a;b;c;d;e", *lines[1:]]), encoding="utf-8")
    data, task = str(shop.parent / "bare.csv"), str(shop.parent / "other.json")
    command = ["recommend-config", data, "--minutes", "0", "--out", task]
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code == 2
    assert "--user" in refused.output
    accepted = CliRunner().invoke(app, [*command, "--user", "b", "--item", "3"])
    assert accepted.exit_code == 0, accepted.output
    assert f"Try it: fedrec simulate {data} --manifest {task} --user b --item 3" in accepted.output
