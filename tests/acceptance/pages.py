"""Pages of the documentation, and the code in them."""

from __future__ import annotations

import re
from pathlib import Path

_DOCS = Path(__file__).parents[2] / "docs"


def code_of(page: str, language: str) -> str:
    """All blocks of a language in a page of the documentation, in order."""
    text = (_DOCS / page).read_text()
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
