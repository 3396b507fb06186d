"""`fedrec privacy plan`, as it is typed."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from fedrec.cli import app
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.privacy import CentralPrivacy
from services.aggregator.domain.runnable import check_runnable

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


def test_a_private_recommender_is_a_manifest_that_an_aggregator_runs() -> None:
    options = ["--items", "3706", "--people", "6040", "--epsilon", "5", "--delta", "1e-5"]
    result = CliRunner().invoke(app, ["privacy", "recommender", "films", *options])
    manifest = TaskManifest.model_validate_json(result.output)
    check_runnable(manifest)
    assert (manifest.report.maximum_norm, manifest.rounds.maximum_participations) == (1.0, 2)
    assert isinstance(manifest.privacy, CentralPrivacy)
    # Both rounds together are one Gaussian; Balle and Wang 2018 put epsilon 5 at delta 1e-5 at 0.892.
    both = [manifest.privacy.multiplier_of(0), manifest.privacy.multiplier_of(1)]
    assert sum(z**-2 for z in both) ** -0.5 == pytest.approx(0.892, rel=0.002)


def test_bands_without_separation_have_no_proven_price() -> None:
    options = ["--epsilon", "2", "--mechanism", "correlated", "--bands", "4"]
    result = CliRunner().invoke(app, ["privacy", "plan", *SCENARIO, *options])
    assert result.exit_code == 2
    assert "Traceback" not in result.output
