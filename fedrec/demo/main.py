"""The demonstration from start to end."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from fedrec.demo.baselines import central, of_recommendations, popularity
from fedrec.demo.devices import Device, Devices, Fleet, run_devices
from fedrec.demo.films import Films, load_films
from fedrec.demo.folders import memory_folder
from fedrec.demo.privacy import MASKED_PEOPLE, Privacy
from fedrec.demo.screen import Screen, quality_table
from fedrec.local.guard import temporary_directory
from fedrec.local.stack import LocalStack, local_stack
from fedrec.manifests import manifest_for
from fedrec.masks import with_masks
from fedrec.operator import Operator
from fedrec_protocol.manifest import RecipeChoice, RoundPolicy, TaskManifest
from fedrec_protocol.messages import TaskState
from fedrec_protocol.operator_messages import RoundView, TaskView
from fedrec_protocol.secagg.descriptor import HARD_FLOOR
from fedrec_recipes import catalogue
from fedrec_recipes.recipe import Recipe

MODEL = "films"
_WATCH_SECONDS = 0.3


@dataclass(frozen=True)
class Schedule:
    """How a recipe is trained here, for as many rounds as suit it."""

    cohort: float
    """Share of the people that one round asks."""
    minimum_ratings: int = 5
    """Films with fewer ratings are left out; 5 is what published numbers for this data set use."""


SCHEDULES = {
    "mf": Schedule(cohort=1.0),
    "autoencoder": Schedule(cohort=0.25),
    "sasrec": Schedule(cohort=0.25),
    "ease": Schedule(cohort=1.0, minimum_ratings=20),  # a model of n x n: 8 MB instead of 53
    "popularity": Schedule(cohort=1.0),
}


@dataclass(frozen=True)
class Options:
    """What can be chosen."""

    recipe: str
    rounds: int | None
    """None takes what suits the recipe."""
    participants: int | None
    seed: int
    wait: bool
    privacy: Privacy = Privacy.PLAIN


def run_demo(options: Options, console: Console) -> None:
    """Train on everybody's device, promote the best version, recommend on the devices."""
    participants = options.participants or (MASKED_PEOPLE if options.privacy is Privacy.SECAGG else None)
    films = load_films(SCHEDULES[options.recipe].minimum_ratings, participants)
    people = len(films.split.train)
    recipe = catalogue.recipe(RecipeChoice(name=options.recipe, config={"number_of_items": films.number_of_items}))
    console.print(
        f"[bold]{people} people[/], {films.number_of_items} films. Recipe [bold]{recipe.name}[/]. "
        "Ratings stay on the devices; each device sees its own person's only."
    )
    with (
        local_stack(progress=lambda step: console.print(f"  {step} ..."), fsync=False) as stack,
        _operator(stack) as operator,
        temporary_directory("fedrec-devices-", parent=memory_folder()) as folder,
    ):
        console.print(f"  API documentation: {stack.aggregator_url}/docs and {stack.registry_url}/docs")
        console.print(f"  Dashboard: {stack.aggregator_url}/dashboard with key {stack.secrets.aggregator_admin_key}")
        task = operator.create_task(_manifest(recipe, people, options))
        key = operator.create_enrolment_key(task.task_id).secret
        fleet = Fleet(stack.aggregator_url, stack.registry_url, key, folder)
        devices = [Device(person, history) for person, history in enumerate(films.split.train_and_validation)]
        with run_devices(fleet, devices) as running:
            rounds = _watch(stack, operator, running, task, console)
            _show_last(operator, task, console)
            best = _promote_best(operator, rounds, console)
            recommended = running.recommend(10)
        _compare(films, recipe, recommended, options, console)
        _show_person(films, recommended, console)
        console.print(
            f"\nVersion {best} is in production. API documentation: {stack.aggregator_url}/docs and "
            f"{stack.registry_url}/docs"
        )
        if options.wait:
            console.input("Press Enter to stop everything. ")


def _manifest(recipe: Recipe[Any], people: int, options: Options) -> TaskManifest:
    """A round closes when its whole cohort has reported, and waits for stragglers two minutes at most."""
    schedule = SCHEDULES[recipe.name]
    least = HARD_FLOOR if options.privacy is Privacy.SECAGG else 1
    cohort = max(round(schedule.cohort * people), least)
    rounds = RoundPolicy(aggregation_goal=cohort, minimum_reports=max(cohort // 2, 1), deadline_seconds=120)
    budget = options.rounds or recipe.usual_rounds
    manifest = manifest_for(recipe, name=MODEL, rounds=rounds, round_budget=budget, seed=options.seed)
    return with_masks(manifest) if options.privacy is Privacy.SECAGG else manifest


def _operator(stack: LocalStack) -> Operator:
    return Operator(
        stack.aggregator_url,
        stack.registry_url,
        aggregator_key=stack.secrets.aggregator_admin_key,
        registry_key=stack.secrets.registry_admin_key,
    )


def _watch(
    stack: LocalStack, operator: Operator, devices: Devices, task: TaskView, console: Console
) -> list[RoundView]:
    """Show the rounds until the task ends; returns them, newest first."""
    started = time.monotonic()
    with Screen(console) as screen:
        while True:
            stack.require_running()
            devices.require_running()
            state = operator.task(task.task_id)
            rounds = operator.rounds(task.task_id)
            screen.show(rounds)
            if state.state is not TaskState.ACTIVE:
                break
            time.sleep(_WATCH_SECONDS)
    console.print(f"\nThe task is {state.state}: {state.state_reason} ({time.monotonic() - started:.0f} s).")
    return rounds


def _show_last(operator: Operator, task: TaskView, console: Console) -> None:
    """The digest of the last weights: the same, whether the reports came plain or masked."""
    last = operator.version(operator.task(task.task_id).current_version_id or "")
    console.print(f"The last version's weights have SHA-256 {last.digest[:32]}")


def _promote_best(operator: Operator, rounds: list[RoundView], console: Console) -> int:
    """Move `production` to the version with the best federated NDCG@10; returns its number."""
    best = best_measured([round_ for round_ in rounds if round_.metrics], "ndcg@10")
    reason = "best federated ndcg@10 of its task"
    alias = operator.promote(MODEL, "production", best.base_version_id, reason=reason)
    metrics = ", ".join(f"{name} {value:.4f}" for name, value in (best.metrics or {}).items())
    console.print(f"Promoted version {alias.version.number}, the best on the devices' validation films: {metrics}.\n")
    return alias.version.number


def best_measured(rounds: Sequence[RoundView], metric: str) -> RoundView:
    """The round whose base version did best, by the mean of the metric over it and its two neighbours.

    Each round asks other people, so the best single measurement is mostly the luckiest.
    """
    values = [(round_.metrics or {})[metric] for round_ in rounds]

    def smoothed(index: int) -> tuple[float, float]:
        start = max(min(index - 1, len(values) - 3), 0)
        near = values[start : start + 3]
        return sum(near) / len(near), values[index]

    return rounds[max(range(len(rounds)), key=smoothed)]


def _compare(
    films: Films, recipe: Recipe[Any], recommended: dict[int, list[int]], options: Options, console: Console
) -> None:
    """The closing table. The test films were not looked at before."""
    rows = [
        ("popularity", popularity(films)),
        (f"{recipe.name}, federated", of_recommendations(films, recommended)),
        (f"{recipe.name}, trained centrally", central(recipe, films, options.seed)),
    ]
    console.print(quality_table(rows))


def _show_person(films: Films, recommended: dict[int, list[int]], console: Console) -> None:
    person = 0
    history = films.split.train_and_validation[person]
    console.print("\n[bold]On one person's device.[/] The last films seen:")
    for item in history.items[-5:]:
        console.print(f"    {films.titles[item]}", markup=False, soft_wrap=True)
    console.print("  Recommended there, by the device itself:")
    for place, item in enumerate(recommended[person], start=1):
        console.print(f"  {place:>2}. {films.titles[item]}", markup=False, soft_wrap=True)
