"""The examples run as they are."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from fedrec_protocol.manifest import RoundPolicy, StopCriteria, TaskManifest
from fedrec_recipes.mf import MatrixFactorisation, MatrixFactorisationConfig
from fedrec_sdk.testing import FakeAggregator

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_the_smallest_app_contributes_and_recommends(tmp_path: Path) -> None:
    recipe = MatrixFactorisation(MatrixFactorisationConfig(number_of_items=20, dimension=4))
    manifest = TaskManifest(
        name="films",
        model="films",
        recipe=recipe.choice,  # the app names no recipe: it is built from the manifest
        shared=recipe.shared,
        private=recipe.private,
        report=recipe.report_format,
        training=recipe.training,
        metrics=("hr@10",),
        rounds=RoundPolicy(aggregation_goal=1),
        stop=StopCriteria(round_budget=2),
    )
    with FakeAggregator(manifest) as aggregator:
        command = [sys.executable, str(EXAMPLES / "embed.py"), aggregator.url, aggregator.enrolment_key, str(tmp_path)]
        app = subprocess.run([*command, "3", "5", "7", "9"], capture_output=True, text=True, check=True, timeout=280)
        assert len(aggregator.versions) == 2
    first, *recommended = app.stdout.splitlines()
    assert first == "counted in round 1 as rep_asg_1_cli_0"
    assert len(recommended) == 5
    assert not {int(line.split()[0]) for line in recommended} & {3, 5, 7, 9}


def test_the_smallest_app_is_as_short_as_promised() -> None:
    lines = (EXAMPLES / "embed.py").read_text().split('"""', 2)[2].splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 15


def test_clinics_learn_a_network_together(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "custom_module.py"), run_name="__main__")
    first, *_, last = map(float, re.findall(r"accuracy ([\d.]+)", capsys.readouterr().out))
    assert (first < 0.6, last > 0.75) == (True, True)
