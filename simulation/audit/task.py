"""The task that is audited: trained again and again, with other people and other noise."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedrec.manifests import manifest_for
from fedrec.refused import Refused
from fedrec_protocol.manifest import ReportContent, RoundPolicy, TaskManifest, Weighting
from fedrec_protocol.messages import RoundKind, RoundState
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.recipe import Recipe
from simulation.audit.modes import Mode
from simulation.availability import Availability
from simulation.engines.engine import Engine
from simulation.population import Population
from simulation.simulation import Simulation
from simulation.work import RoundWork


@dataclass(frozen=True)
class AuditedTask:
    """A recipe in rounds in which everybody reports, with the same weight."""

    recipe: Recipe[Any]
    rounds: int
    clipping_norm: float
    """L2 bound on one report."""
    target_delta: float
    seed: int

    def __post_init__(self) -> None:
        """Refuses recipes whose versions the attacks cannot read."""
        report, rule = self.recipe.report_format, self.recipe.aggregation
        if report.content is not ReportContent.DELTA or rule.rule != "fedavg":
            raise Refused(f"recipe {self.recipe.name!r}: the audit reads means of deltas (fedavg), e.g. of mf")

    def manifest(self, people: int, mode: Mode) -> TaskManifest:
        """The task for so many people, with the noise of a mode."""
        manifest = manifest_for(
            self.recipe,
            name="audit",
            rounds=RoundPolicy(aggregation_goal=people),
            round_budget=self.rounds,
            metrics=(),
            seed=self.seed,
        )
        content = manifest.model_dump()
        changes = mode.changes(people=people, clipping_norm=self.clipping_norm, target_delta=self.target_delta)
        content["report"] |= {"maximum_norm": self.clipping_norm, "weighting": Weighting.UNIFORM}
        content["rounds"] |= changes.pop("rounds", {})
        return TaskManifest.model_validate(content | changes)


@dataclass(frozen=True)
class PublishedRound:
    """What everybody can see of a round: the version before it and the version after it."""

    work: RoundWork
    after: Tensors
    epsilon: float | None
    """What the ledger has charged up to here; None without a mechanism."""

    @property
    def sum(self) -> NDArray[np.float64]:
        """The sum of the round's deltas as the versions show it, with whatever noise it has, shape (d,)."""
        goal = self.work.manifest.rounds.aggregation_goal
        before, after = (flat(self.work, tensors) for tensors in (self.work.base, self.after))
        return (after - before) * goal


def published_rounds(
    manifest: TaskManifest,
    population: Population,
    *,
    engine: Engine | None = None,
    availability: Availability | None = None,
) -> Iterator[PublishedRound]:
    """Train, and look at every version as it is published."""
    simulation = Simulation(manifest, population, engine=engine, availability=availability)
    base = simulation.parameters
    norm = simulation.aggregator.clipping_norm
    for record in simulation.run():
        work = RoundWork(manifest, RoundKind.TRAINING, record.number, base, norm)
        base, norm = simulation.parameters, simulation.aggregator.clipping_norm
        if record.state is RoundState.PUBLISHED:
            yield PublishedRound(work, base, record.epsilon)


def flat(work: RoundWork, tensors: Tensors) -> NDArray[np.float64]:
    """The report's tensors as one vector, in the manifest's order, float64, shape (d,)."""
    parts = [np.asarray(tensors[spec.name], np.float64).reshape(-1) for spec in work.manifest.report_tensors]
    return np.concatenate(parts)
