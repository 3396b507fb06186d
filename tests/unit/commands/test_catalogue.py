"""`fedrec catalogue` refuses what it cannot read before it asks anybody."""

from pathlib import Path

from typer.testing import CliRunner

from fedrec.cli import app


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    command = ["catalogue", "films", "--key", "fo_x", "--add", str(tmp_path / "films.txt")]
    result = CliRunner().invoke(app, command, env={"COLUMNS": "400"})  # a long path would be cut at the edge
    assert result.exit_code == 2
    assert "films.txt" in result.output


def test_a_registry_that_is_not_there_is_explained(tmp_path: Path) -> None:
    (tmp_path / "films.txt").write_text("heat\n\nran\n")
    command = ["catalogue", "films", "--key", "fo_x", "--url", "http://127.0.0.1:9"]
    result = CliRunner().invoke(app, [*command, "--add", str(tmp_path / "films.txt")])
    assert result.exit_code == 1
    assert "cannot be reached" in result.output
