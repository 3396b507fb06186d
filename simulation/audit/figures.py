"""The audit's figures: what they say, and their file."""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from simulation.audit.canaries import CanaryFigures
from simulation.audit.membership import MembershipFigures
from simulation.audit.rare_rows import RareRowFigures
from simulation.audit.reports import ReportFigures

MASKED = "masked"


@dataclass(frozen=True)
class AuditFigures:
    """Everything that was measured."""

    setting: dict[str, Any]
    """What was audited, and how."""
    reports: list[ReportFigures]
    membership: list[MembershipFigures]
    canaries: list[CanaryFigures]
    rare_rows: list[RareRowFigures]

    def leaks(self) -> Iterator[str]:
        """What should not have been found: a sentence for each promise that the figures refute."""
        for seen in self.reports:
            if seen.seen == MASKED and not (seen.had_item.auc.is_chance() and seen.whose_report.auc.is_chance()):
                yield "masked reports tell more than chance"
        for found in self.canaries:
            if found.refutes_the_ledger:
                yield (
                    f"{found.mode}, noise multiplier {found.noise_multiplier:g}: the ledger says epsilon "
                    f"{found.ledger_epsilon:.2f}, and at least {found.epsilon_lower_bound:.2f} was spent"
                )

    def write(self, path: Path) -> None:
        """One JSON document."""
        path.write_text(json.dumps(_finite(asdict(self)), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _finite(value: Any) -> Any:
    """JSON has no infinity: null stands for it."""
    match value:
        case dict():
            return {name: _finite(each) for name, each in value.items()}
        case list() | tuple():
            return [_finite(each) for each in value]
        case float() if not math.isfinite(value):
            return None
    return value
