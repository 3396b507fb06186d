"""`fedrec privacy audit` from data to figures."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import JsonValue
from rich.console import Console
from rich.table import Table

from fedrec.data.choice import FOUND, ColumnChoice
from fedrec.data.interactions import DataError
from fedrec.data.opening import read_interactions
from fedrec_protocol.manifest import RecipeChoice
from fedrec_recipes import catalogue
from fedrec_recipes.recipe import Recipe
from simulation.audit.canaries import CanaryFigures, audit_canaries
from simulation.audit.figures import AuditFigures
from simulation.audit.local_canaries import Local, audit_local_canaries
from simulation.audit.membership import audit_membership
from simulation.audit.modes import Adaptive, Central, Correlated, Distributed, Exact, Mode, Sampled
from simulation.audit.plot import write_plot
from simulation.audit.rare_rows import audit_rare_rows
from simulation.audit.rates import Auc, Rates
from simulation.audit.reports import audit_reports
from simulation.audit.task import AuditedTask
from simulation.population import Population
from simulation.results import require_writers

MASKED_PEOPLE = 100
"""People whose single reports are attacked, at most: each of them exchanges keys with all others."""
LOCAL_CANARIES = 300
"""Canaries with local noise, at most: each of them draws noise for a whole report in every round."""
COHORTS = (10, 100)
"""Sizes of a round, beside everybody, for which rows with a single owner are counted."""


@dataclass(frozen=True)
class AuditOptions:
    """What can be chosen."""

    data: Path
    columns: ColumnChoice = FOUND
    """Which column of the data is what."""
    recipe: str = "mf"
    config: dict[str, JsonValue] = field(default_factory=dict)
    """The recipe's own configuration, without the number of items."""
    rounds: int = 5
    participants: int | None = None
    minimum_support: int = 5
    clipping_norm: float = 5.0
    noise_multipliers: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)
    """Of the server's noise."""
    mode_multipliers: tuple[float, ...] = (1.0, 4.0)
    """Of the other ways to add noise."""
    local_multipliers: tuple[float, ...] = (0.01, 1.0)
    """Of the noise on single reports that are attacked."""
    canaries: int = 2200
    target_delta: float = 1e-5
    confidence: float = 0.95
    seed: int = 0
    out: Path = Path("privacy-audit")


def run_audit(options: AuditOptions, console: Console) -> AuditFigures:
    """Attack, measure, and write `audit.json` and `audit.png`.

    Raises:
        DataError: the data cannot be read, or is too little.
        Refused: a recipe whose versions the attacks cannot read, or more canaries than it has parameters.
        UnknownRecipe, InvalidRecipeConfig: there is none such.
        ImportError: an optional extra is missing.
    """
    require_writers()
    people, recipe = _people(options)
    task = AuditedTask(recipe, options.rounds, options.clipping_norm, options.target_delta, options.seed)
    few = Population(people.histories[:MASKED_PEOPLE], people.trainer_of, people.seed)
    levels: list[Mode] = [Exact(), *(Central(level) for level in options.noise_multipliers)]
    console.print(f"[bold]{len(people)} people[/], recipe [bold]{recipe.name}[/], {options.rounds} rounds")
    with console.status("single reports"):
        reports = audit_reports(task, few, options.local_multipliers)
    with console.status("membership"):
        membership = [audit_membership(task, people, level) for level in levels]
    with console.status("canaries"):
        canaries = [_canaries(options, task, people, mode) for mode in (*levels, *_other_modes(options))]
    cohorts = sorted({min(cohort, len(people)) for cohort in (*COHORTS, len(people))})
    rare_rows = [audit_rare_rows(people.histories, cohort, seed=options.seed) for cohort in cohorts]
    figures = AuditFigures(_setting(options, people, recipe), reports, membership, canaries, rare_rows)
    for table in tables(figures):
        console.print(table)
    options.out.mkdir(parents=True, exist_ok=True)
    figures.write(options.out / "audit.json")
    write_plot(figures, options.out / "audit.png")
    console.print(f"Results: {options.out / 'audit.json'}, {options.out / 'audit.png'}")
    return figures


def tables(figures: AuditFigures) -> list[Table]:
    """What was measured, for a terminal."""
    reports = _table("One report", "the server sees", "attack", *_RATES)
    for seen in figures.reports:
        reports.add_row(seen.seen, "which items?", *_rates(seen.had_item))
        reports.add_row(seen.seen, "whose report?", *_rates(seen.whose_report))
    membership = _table("Membership", "noise", "ledger's ε", "the attacker has", *_RATES)
    for found in figures.membership:
        noise = (_number(found.noise_multiplier), _number(found.ledger_epsilon))
        membership.add_row(*noise, "the last version", *_rates(found.from_last_version))
        membership.add_row(*noise, "all versions", *_rates(found.from_all_versions))
    epsilons = ("ledger's ε", "lower bound", "estimate")
    canaries = _table("Canaries", "mode", "noise", *epsilons, "right guesses", *_RATES)
    for canary in figures.canaries:
        values = (canary.noise_multiplier, canary.ledger_epsilon, canary.epsilon_lower_bound, canary.epsilon_estimate)
        right = f"{canary.right_guesses} of {canary.guesses}"
        canaries.add_row(canary.mode, *(_number(value) for value in values), right, *_rates(canary.rates))
    rare = _table("Rows that one person alone touched", "cohort", "share of touched rows", "people with such a row")
    for rows in figures.rare_rows:
        rare.add_row(str(rows.cohort), f"{rows.single_owner_share:.1%}", f"{rows.people_with_one:.1%}")
    return [reports, membership, canaries, rare]


def _other_modes(options: AuditOptions) -> list[Mode]:
    kinds = (Adaptive, Sampled, Correlated, Distributed, Local)
    return [kind(multiplier) for kind in kinds for multiplier in options.mode_multipliers]


def _canaries(options: AuditOptions, task: AuditedTask, people: Population, mode: Mode) -> CanaryFigures:
    if isinstance(mode, Local):
        few = min(options.canaries, LOCAL_CANARIES)
        return audit_local_canaries(task, mode, canaries=few, confidence=options.confidence)
    return audit_canaries(task, people, mode, canaries=options.canaries, confidence=options.confidence)


def _people(options: AuditOptions) -> tuple[Population, Recipe[Any]]:
    interactions = read_interactions(options.data, options.columns).with_item_support(options.minimum_support)
    histories = [history for history in interactions.histories() if len(history) >= 3][: options.participants]
    if len(histories) < 20:
        raise DataError(f"{options.data}: {len(histories)} people with three interactions, and an audit needs 20")
    config = {**options.config, "number_of_items": interactions.number_of_items}
    recipe = catalogue.recipe(RecipeChoice(name=options.recipe, config=config))
    return Population.of_recipe(recipe, histories, seed=options.seed, holdout=0), recipe


def _setting(options: AuditOptions, people: Population, recipe: Recipe[Any]) -> dict[str, Any]:
    return {
        "people": len(people),
        "recipe": recipe.choice.model_dump(mode="json"),
        "rounds": options.rounds,
        "clipping_norm": options.clipping_norm,
        "target_delta": options.target_delta,
        "confidence": options.confidence,
        "seed": options.seed,
    }


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column)
    return table


_RATES = ("AUC with 95% interval", "found at 1% false", "at 0.1%")


def _rates(rates: Rates) -> tuple[str, str, str]:
    return _auc(rates.auc), _share(rates.found_at_one_percent), _share(rates.found_at_one_permille)


def _auc(rate: Auc) -> str:
    return f"{rate.mean:.3f} ({rate.low:.3f} to {rate.high:.3f})"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
