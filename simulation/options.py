"""What can be chosen of `fedrec simulate`."""

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from fedrec.data.choice import FOUND, ColumnChoice

DAILY = "daily"
"""Availability that needs no file."""


@dataclass(frozen=True)
class Options:
    """What can be chosen."""

    data: Path
    columns: ColumnChoice = FOUND
    """Which column of the data is what."""
    manifests: tuple[Path, ...] = ()
    """A task manifest, as a deployment takes it: it answers the options on recipe, rounds, privacy and metrics. Several
    are those of a combined model's members."""
    recipe: str | None = None
    """None takes the one that suits the size of the catalogue and the order of histories."""
    config: dict[str, JsonValue] = field(default_factory=dict)
    """The recipe's own configuration, without the number of items."""
    training: dict[str, JsonValue] = field(default_factory=dict)
    """Changes to the recipe's training plan."""
    rounds: int | None = None
    """Training rounds at most; None takes what is usual for the recipe."""
    participants: int | None = None
    """The first so many people with three interactions or more; None takes all."""
    minimum_support: int = 1
    """Items with fewer interactions are left out."""
    policy: dict[str, JsonValue] = field(default_factory=dict)
    """The round policy; a goal that is missing is everybody."""
    clipping_norm: float | None = None
    """L2 bound on a report; None takes the recipe's."""
    privacy: dict[str, JsonValue] | None = None
    """Central differential privacy, as the manifest spells it; None: no noise."""
    metrics: tuple[str, ...] = ("hr@10", "ndcg@10")
    patience: int | None = None
    seed: int = 0
    engine: str = "local"
    dropout: float = 0.0
    stragglers: float | None = None
    """Spread of device speeds; None makes every device infinitely fast."""
    availability: str | None = None
    """`daily`, or a trace file; None: always."""
    attack: str | None = None
    attackers: float = 0.1
    """Share of attackers, when there is an attack."""
    baselines: bool = False
    out: Path = Path("simulation-results")
