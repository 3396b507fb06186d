"""`fedrec privacy plan`, as it is typed."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from fedrec.cli import app

SCENARIO = ["--users", "100000", "--cohort", "1000", "--rounds", "500", "--delta", "1e-6"]


@pytest.mark.parametrize(
    ("options", "multiplier"),
    [
        (["--epsilon", "2", "--participations", "5"], "4.99"),
        (["--epsilon", "2", "--mechanism", "poisson"], "0.91"),
    ],
)
def test_the_plan_names_the_noise_of_the_reference_table(options: list[str], multiplier: str) -> None:
    result = CliRunner().invoke(app, ["privacy", "plan", *SCENARIO, *options])
    assert result.exit_code == 0, result.output
    words = result.output.split("Noise multiplier ")[1].split(":")[0]
    assert float(words) == pytest.approx(float(multiplier), rel=0.005)


def test_bands_without_separation_have_no_proven_price() -> None:
    options = ["--epsilon", "2", "--mechanism", "correlated", "--bands", "4"]
    result = CliRunner().invoke(app, ["privacy", "plan", *SCENARIO, *options])
    assert result.exit_code == 2
    assert "Traceback" not in result.output
