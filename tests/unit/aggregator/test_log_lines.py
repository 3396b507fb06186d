"""What is logged of rounds and tasks can be found by the task."""

import ast
from pathlib import Path

import pytest

from services.aggregator import pipeline

STEPS = sorted(Path(pipeline.__file__).parent.glob("**/*.py"))


def lines_logged(step: Path) -> list[ast.Call]:
    calls = [node for node in ast.walk(ast.parse(step.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    named = [call for call in calls if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name)]
    return [call for call in named if ast.unparse(call.func).startswith("log.")]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.stem)
def test_every_line_names_its_task(step: Path) -> None:
    for line in lines_logged(step):
        named = {ast.unparse(keyword.value) if keyword.arg is None else keyword.arg for keyword in line.keywords}
        assert "task_id" in named or any(fields.startswith("about(") for fields in named), ast.unparse(line)


def test_there_are_lines() -> None:
    assert sum(len(lines_logged(step)) for step in STEPS) > 10
