"""One task of an experiment, from its options to its last round."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from fedrec.data.split import Split
from fedrec.manifests import manifest_for
from fedrec_protocol.manifest import RoundPolicy, TaskManifest
from fedrec_protocol.round_policy import LARGEST_COHORT
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.recipe import Recipe
from simulation.advice.pace import solution_seconds
from simulation.attacks.attack import with_attackers
from simulation.attacks.catalogue import attack_named
from simulation.availability import AlwaysAvailable, Availability, AvailabilityTrace, DailyCycle
from simulation.devices import Devices, Dropouts, HeterogeneousDevices, IdealDevices
from simulation.engines.engine import Engine
from simulation.engines.local import LocalEngine
from simulation.engines.ray import RayEngine
from simulation.options import DAILY, Options
from simulation.population import Population
from simulation.records import RoundRecord
from simulation.screen import Screen
from simulation.simulation import Simulation

_LONG_SECONDS = 60.0
"""To solve a model: then it is said before."""


@dataclass(frozen=True)
class SimulatedTask:
    """A task that was simulated to its end."""

    recipe: Recipe[Any]
    manifest: TaskManifest
    simulation: Simulation
    records: list[RoundRecord]


def simulate_task(
    options: Options,
    recipe: Recipe[Any],
    given: TaskManifest | None,
    split: Split,
    console: Console,
    *,
    base: Tensors | None = None,
) -> SimulatedTask:
    """Simulate one task, by the manifest that is given or by the options."""
    population = _population(options, recipe, split)
    manifest = given or _manifest(options, recipe, len(population))
    items = recipe.config.number_of_items
    console.print(
        f"[bold]{len(population)} people[/], {items} items, recipe [bold]{recipe.name}[/], "
        f"{manifest.rounds.cohort_size} asked per round, seed {options.seed}"
    )
    if (seconds := solution_seconds(recipe)) > _LONG_SECONDS:
        console.print(f"Solving {recipe.name} for {items:,} items takes about {seconds / 60:.0f} minutes here.")
    engine: Engine = RayEngine(population) if options.engine == "ray" else LocalEngine(population)
    try:
        simulation = Simulation(
            manifest,
            population,
            engine=engine,
            devices=_devices(options, len(population)),
            availability=_availability(options, len(population)),
            base=base,
        )
        records = _run(simulation, manifest, console)
    finally:
        engine.close()
    console.print(
        f"\n{simulation.aggregator.task.state_reason}. Newest version: {simulation.aggregator.version.digest}"
    )
    return SimulatedTask(recipe, manifest, simulation, records)


def _population(options: Options, recipe: Recipe[Any], split: Split) -> Population:
    """Everybody's device holds all but the test item; the last of these validates and is not trained on."""
    population = Population.of_recipe(recipe, split.train_and_validation, seed=options.seed)
    if options.attack is None:
        return population
    attack = attack_named(options.attack, recipe.config.number_of_items)
    return with_attackers(population, attack, fraction=options.attackers, seed=options.seed)


def _manifest(options: Options, recipe: Recipe[Any], people: int) -> TaskManifest:
    policy = RoundPolicy.model_validate({"aggregation_goal": min(people, LARGEST_COHORT), **options.policy})
    manifest = manifest_for(
        recipe,
        name="simulation",
        rounds=policy,
        round_budget=options.rounds or recipe.usual_rounds,
        patience=options.patience,
        metrics=options.metrics,
        seed=options.seed,
    )
    changed = manifest.model_dump()
    changed["training"] |= options.training
    if options.clipping_norm is not None:
        changed["report"]["maximum_norm"] = options.clipping_norm
    if options.privacy is not None:
        # A device measures one held-out item: no noise has to hide more.
        changed["report"]["maximum_evaluations"] = 1
        changed["privacy"] = {"metrics_noise_multiplier": options.privacy.get("noise_multiplier"), **options.privacy}
    return TaskManifest.model_validate(changed)


def _devices(options: Options, people: int) -> Devices:
    devices: Devices = IdealDevices()
    if options.stragglers is not None:
        devices = HeterogeneousDevices(people, seed=options.seed, spread=options.stragglers)
    return devices if not options.dropout else Dropouts(devices, probability=options.dropout, seed=options.seed)


def _availability(options: Options, people: int) -> Availability:
    if options.availability is None:
        return AlwaysAvailable()
    if options.availability == DAILY:
        return DailyCycle(people, seed=options.seed)
    return AvailabilityTrace.read(Path(options.availability))


def _run(simulation: Simulation, manifest: TaskManifest, console: Console) -> list[RoundRecord]:
    records = []
    with Screen(console, manifest.stop.round_budget) as screen:
        for record in simulation.run():
            records.append(record)
            screen.show(record)
    return records
