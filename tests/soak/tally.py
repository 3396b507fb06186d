"""What was seen in a soak."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.soak.breakpoints import Breakpoint
from tests.soak.operations import Verb


@dataclass
class Tally:
    """What was seen."""

    operations: int = 0
    reports: int = 0
    app_reports: int = 0
    rounds: Counter[str] = field(default_factory=Counter)
    stopped: Counter[tuple[Verb, Breakpoint]] = field(default_factory=Counter)
