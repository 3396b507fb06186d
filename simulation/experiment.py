"""`fedrec simulate` from data to results."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import JsonValue
from rich.console import Console

from fedrec.data.choice import FOUND, ColumnChoice
from fedrec.data.content import read_content
from fedrec.data.interactions import DataError
from fedrec.data.opening import read_interactions
from fedrec.data.split import Split, leave_last_out
from fedrec.manifests import manifest_for, read_manifest
from fedrec_protocol.manifest import RecipeChoice, RoundPolicy, TaskManifest
from fedrec_recipes import catalogue
from fedrec_recipes.ease import Ease, EaseConfig
from fedrec_recipes.recipe import History, Recipe
from fedrec_recipes.two_tower import TwoTower
from simulation.advice.candidates import usual_recipe
from simulation.advice.pace import solution_seconds
from simulation.advice.survey import SORTED_BY_ITEM, Order, order_of
from simulation.attacks.attack import with_attackers
from simulation.attacks.catalogue import attack_named
from simulation.availability import AlwaysAvailable, Availability, AvailabilityTrace, DailyCycle
from simulation.devices import Devices, Dropouts, HeterogeneousDevices, IdealDevices
from simulation.engines.engine import Engine
from simulation.engines.local import LocalEngine
from simulation.engines.ray import RayEngine
from simulation.final_test import TestRow, central_row, federated_row, popularity_row
from simulation.population import Population
from simulation.records import RoundRecord
from simulation.results import require_writers, write_results
from simulation.screen import Screen, quality_table
from simulation.simulation import Simulation

MOST_ITEMS_OF_EASE = 5_000
"""EASE is a baseline up to here: solving it takes cubic time."""
_LONG_SECONDS = 60.0
"""To solve a model: then it is said before."""
DAILY = "daily"
"""Availability that needs no file."""


@dataclass(frozen=True)
class Options:
    """What can be chosen."""

    data: Path
    columns: ColumnChoice = FOUND
    """Which column of the data is what."""
    manifest: Path | None = None
    """A task manifest, as a deployment takes it: it answers the options on recipe, rounds, privacy and metrics."""
    recipe: str | None = None
    """None takes the one that suits the size of the catalogue."""
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


def run_experiment(options: Options, console: Console) -> list[TestRow]:
    """Read, simulate, test once, write; returns the rows of the closing table.

    Raises:
        DataError: the data cannot be read, or nobody has three interactions.
        Refused: an unknown attack, or a trace of devices that is none.
        UnknownRecipe, InvalidRecipeConfig, UnknownMetric: there is none such.
        ValidationError: a policy that contradicts itself.
        InvalidManifest: what an aggregator would refuse to run.
        NobodyReports: so few reports come in time that the task does not end.
        ImportError: an optional extra is missing.
    """
    require_writers()
    split, item_ids = _read(options, console)
    number_of_items = len(item_ids)
    given = None if options.manifest is None else _given_manifest(options.manifest, number_of_items)
    recipe = catalogue.recipe(_choice(options, item_ids, split.train) if given is None else given.recipe)
    population = _population(options, recipe, split)
    manifest = given or _manifest(options, recipe, len(population))
    console.print(
        f"[bold]{len(population)} people[/], {number_of_items} items, recipe [bold]{recipe.name}[/], "
        f"{manifest.rounds.cohort_size} asked per round, seed {options.seed}"
    )
    if (seconds := solution_seconds(recipe)) > _LONG_SECONDS:
        console.print(
            f"Solving {recipe.name} for {number_of_items:,} items takes about {seconds / 60:.0f} minutes here."
        )
    engine: Engine = RayEngine(population) if options.engine == "ray" else LocalEngine(population)
    try:
        simulation = Simulation(
            manifest,
            population,
            engine=engine,
            devices=_devices(options, len(population)),
            availability=_availability(options, len(population)),
        )
        records = _run(simulation, manifest, console)
    finally:
        engine.close()
    rows = _rows(options, recipe, simulation, split, number_of_items)
    console.print(
        f"\n{simulation.aggregator.task.state_reason}. Newest version: {simulation.aggregator.version.digest}"
    )
    console.print(quality_table(rows))
    written = write_results(options.out, manifest, simulation.parameters, records, rows)
    console.print(f"Results in {options.out}: {', '.join(path.name for path in written)}", soft_wrap=True)
    return rows


def _read(options: Options, console: Console) -> tuple[Split, tuple[str, ...]]:
    """The split, and the names of the items."""
    with console.status(f"reading {options.data}"):
        interactions = read_interactions(options.data, options.columns).with_item_support(options.minimum_support)
        everybody = interactions.histories()
    for remark in interactions.remarks:
        console.print(remark, soft_wrap=True, highlight=False, markup=False)
    if order_of(interactions, everybody) is Order.ITEM:
        console.print(f"{SORTED_BY_ITEM}: figures on last items say nothing.")
    histories = [history for history in everybody if len(history) >= 3][: options.participants]
    if not histories:
        raise DataError(f"{options.data}: nobody has three different items")
    return leave_last_out(histories), interactions.item_ids


def _choice(options: Options, item_ids: tuple[str, ...], histories: list[History]) -> RecipeChoice:
    """The recipe, with what the data knows: how many items there are, and what is known of them."""
    name = options.recipe or usual_recipe(len(item_ids), histories)
    config = {**options.config, "number_of_items": len(item_ids)}
    if name == TwoTower.name and "content" not in config:
        config = {**read_content(options.data, item_ids).as_config(), **config}
    return RecipeChoice(name=name, config=config)


def _given_manifest(path: Path, number_of_items: int) -> TaskManifest:
    manifest = read_manifest(path)
    agreed = manifest.recipe.config.get("number_of_items")
    if agreed != number_of_items:
        raise DataError(
            f"{path} is for {agreed} items, and the data has {number_of_items}: "
            "give the --minimum-support that it was made with"
        )
    return manifest


def _population(options: Options, recipe: Recipe[Any], split: Split) -> Population:
    """Everybody's device holds all but the test item; the last of these validates and is not trained on."""
    population = Population.of_recipe(recipe, split.train_and_validation, seed=options.seed)
    if options.attack is None:
        return population
    attack = attack_named(options.attack, recipe.config.number_of_items)
    return with_attackers(population, attack, fraction=options.attackers, seed=options.seed)


def _manifest(options: Options, recipe: Recipe[Any], people: int) -> TaskManifest:
    policy = RoundPolicy.model_validate({"aggregation_goal": people, **options.policy})
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


def _rows(
    options: Options, recipe: Recipe[Any], simulation: Simulation, split: Split, number_of_items: int
) -> list[TestRow]:
    metrics, seed = options.metrics, options.seed
    shared, private_of = simulation.parameters, simulation.private_of
    rows = [federated_row(recipe, shared, private_of, split, metrics=metrics, seed=seed)]
    if options.baselines:
        rows.append(popularity_row(number_of_items, split, metrics=metrics, seed=seed))
        rows.append(central_row(recipe, split, metrics=metrics, seed=seed))
        if not isinstance(recipe, Ease) and number_of_items <= MOST_ITEMS_OF_EASE:
            ease = Ease(EaseConfig(number_of_items=number_of_items))
            rows.append(central_row(ease, split, metrics=metrics, seed=seed))
    return rows
