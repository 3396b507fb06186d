"""docs/settings.md and what programs read from the environment are the same."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from services.aggregator.settings import Settings as AggregatorSettings
from services.kit.settings import ServiceSettings
from services.model_registry.settings import Settings as RegistrySettings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
CODE = ("fedrec/**/*.py", "services/**/*.py")
VARIABLE = re.compile(r"FEDREC_[A-Z0-9_]*[A-Z0-9]")


def rows(settings: type[BaseModel], path: str, defaults: Any = None) -> Iterator[str]:
    """A row of the page for each setting."""
    for name, field in settings.model_fields.items():
        default = field.default if defaults is None else getattr(defaults, name)
        if isinstance(default, BaseModel):
            yield from rows(type(default), f"{path}{name.upper()}__", default)
        else:
            shown = "**required**" if field.is_required() and defaults is None else in_words(default)
            yield f"| `{path}{name.upper()}` | {shown} | {field.description} |"


def in_words(default: object) -> str:
    if default in (None, ()):
        return "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


@pytest.mark.parametrize("settings", [AggregatorSettings, RegistrySettings])
def test_the_page_has_every_setting_with_its_default(settings: type[ServiceSettings]) -> None:
    prefix = settings.model_config["env_prefix"]
    own = [line for line in PAGE.splitlines() if line.startswith(f"| `{prefix}")]
    others = {f"| `{name}`" for name in settings.variables_of_others}
    assert [line for line in own if not line.startswith(tuple(others))] == list(rows(settings, prefix))


def test_the_page_has_every_variable_that_is_read_or_written_of() -> None:
    patterns = (
        "*.md",
        "docs/**/*.md",
        "docker*",
        "docker/*",
        ".env.example",
        "run",
        "fedrec/**/*.py",
        "services/**/*.py",
    )
    files = [path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()]
    named = {name for path in files for name in VARIABLE.findall(path.read_text(encoding="utf-8"))}
    listed = set(VARIABLE.findall(PAGE))
    assert {name for name in named - listed if not any(other.startswith(f"{name}_") for other in listed)} == set()
