"""What somebody types that cannot be done: one sentence, a status, and no traceback."""

from __future__ import annotations

import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from fedrec import cli
from fedrec.commands.refusals import refusing_arguments

DATA = "user,item,rating,timestamp\n" + "".join(f"{user},{item},5,{item}\n" for user in range(8) for item in range(6))
RECOMMENDER = ["privacy", "recommender", "films", "--items", "9", "--people", "50", "--epsilon", "1"]
PLAN = ["privacy", "plan", "--users", "1000", "--cohort", "100", "--rounds", "10", "--epsilon", "2"]
KEY = ["--key", "fo_x"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a file of interactions, a binary one and an empty one."""
    monkeypatch.chdir(tmp_path)
    Path("data.csv").write_text(DATA)
    Path("binary.txt").write_bytes(bytes(range(256)))
    Path("empty").touch()


def typed(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What the program says when it refuses; any other exception is a traceback, and fails the test."""
    monkeypatch.setattr(sys, "argv", ["fedrec", *arguments])
    with pytest.raises(SystemExit) as refused:
        cli.main()
    assert refused.value.code not in (0, None)
    captured = capsys.readouterr()
    words = captured.err + (refused.value.code if isinstance(refused.value.code, str) else "")
    return " ".join(word for word in words.split() if word not in "│╭╮╰╯─")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["tune", "data.csv", "--recipe", "mf", "--config", "[]"], "not a JSON object"),
        (["simulate", "data.csv", "--config", "[" * 5000], "not JSON"),
        (["privacy", "audit", "data.csv", "--config", "1"], "not a JSON object"),
        (["recommend-config", "data.csv", "--privacy", "dp", "--epsilon", "1e300"], "1000"),
        (["recommend-config", "data.csv", "--minutes", "0", "--name", "A B"], "should match pattern"),
        ([*RECOMMENDER, "--delta", "0"], "target_delta: Input should be greater than 0"),
        ([*RECOMMENDER, "--items", "99999999999"], "the tensors hold more than"),
        (["privacy", "recommender", "A B", *RECOMMENDER[3:]], "should match pattern"),
        ([*PLAN, "--delta", "nan"], "target_delta: Input should be less than 1"),
        ([*PLAN, "--epsilon", "inf"], "1000"),
        ([*PLAN, "--mechanism", "poisson", "--cohort", "1001"], "sampling_probability"),
        ([*PLAN, "--rounds", "99999999999"], "1000000"),
        (["train", "empty", *KEY], "empty is no task manifest"),
        (["catalogue", "films", "--add", "binary.txt", *KEY], "binary.txt"),
        (["audit", "--url", "http://[::1", *KEY], "is no address"),
        (["audit", "--url", "nonsense", *KEY], "cannot be reached"),
        (["task", "list", "--url", "http://[::1", *KEY], "is no address"),
        (["model", "list", "--url", "nonsense", *KEY], "cannot be reached"),
        (["model", "promote", "films", "ver 1", *KEY], "should match pattern"),
        (["audit", "--key", "☃"], "an operator key looks like fo_"),
        (["client", "erase", "cli_x", "--url", "nonsense", *KEY], "cannot be reached"),
        (["simulate", "data.csv", "--attack", "magic"], "unknown attack 'magic'; known: sign-flip"),
        (["simulate", "data.csv", "--availability", "data.csv"], "data.csv: a line is person,start,end"),
        (["simulate", "data.csv", "--manifest", "data.csv"], "data.csv is no task manifest"),
        (["simulate", "data.csv", "--config", '{"number": 1}'], "recipe 'blend': number"),
        (["tune", "data.csv", "--recipe", "popularity"], "has nothing to search"),
        (["simulate", "data.csv", "--out", "empty/results"], "empty is a file: name a folder"),
        (["privacy", "audit", "data.csv", "--out", "empty"], "empty is a file: name a folder"),
        (["tune", "data.csv", "--recipe", "mf", "--out", "none/task.json"], "there is no folder none"),
        (["recommend-config", "data.csv", "--out", "."], ". is a folder: name a file"),
        (["model", "combine", "both", "--member", "films", "--out", "none/task.json", *KEY], "there is no folder none"),
        (["privacy", "audit", "data.csv"], "an audit needs 20"),
        (["migrate", "--database-url", "nonsense"], "a database URL looks like postgresql+psycopg://"),
        (["migrate", "--database-url", ""], "a database URL looks like postgresql+psycopg://"),
        (["migrate", "--database-url", "postgresql+psycopg://[::1/x"], "a database URL looks like"),
        (["migrate", "--database-url", "mysql://a/b"], "a database URL looks like postgresql+psycopg://"),
        (["migrate", "--database-url", "postgresql://127.0.0.1:1/x"], "Connection refused"),
        (["serve", "--port", "65536"], "65535"),
        (["serve", "--port", "8765", "--registry-port", "8765"], "both services cannot listen on one port"),
        (["serve", "--state", "empty/state", "--database-url", "postgresql://127.0.0.1:1/x"], "Connection refused"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_ends_with_its_reason(
    arguments: list[str], reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reason in typed(arguments, monkeypatch, capsys)


def test_an_address_at_which_something_else_answers_is_doubted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("v1").mkdir()
    Path("v1/audit").write_text("<html>hello</html>")
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_port}"
        words = typed(["audit", "--url", url, *KEY], monkeypatch, capsys)
        server.shutdown()
    assert f"{url} does not answer as this service does: is it the right one?" in words


def test_the_password_of_a_database_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "hunter2" not in typed(["migrate", "--database-url", "mysql://me:hunter2@a/b"], monkeypatch, capsys)


def test_a_disk_that_is_full_is_named_with_the_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(**_: object) -> None:
        raise OSError(28, "No space left on device", "/data/logs")

    monkeypatch.setattr(cli, "app", full)
    assert typed([], monkeypatch, capsys) == "fedrec: /data/logs: No space left on device"


@pytest.mark.parametrize("defect", [KeyError("items"), ValueError("shapes (2,) and (3,)"), TypeError("no len()")])
def test_a_defect_in_what_a_command_runs_does_not_pass_for_a_typing_error(defect: Exception) -> None:
    with pytest.raises(type(defect)) as raised, refusing_arguments():
        raise defect
    assert raised.value is defect


def test_a_recipe_that_is_not_known_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "nonsense" in typed(["tune", "data.csv", "--recipe", "nonsense"], monkeypatch, capsys)
