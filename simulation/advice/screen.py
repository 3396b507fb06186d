"""Advice for people to read, and for programs."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from fedrec_protocol import codec
from fedrec_protocol.manifest import TaskManifest
from fedrec_recipes.catalogue import recipe as recipe_of
from simulation.advice.advice import Advice
from simulation.advice.candidates import label
from simulation.advice.combination import Beside
from simulation.advice.survey import Survey
from simulation.advice.trial import Trial


def show(advice: Advice, console: Console) -> None:
    """What the data is like, how the candidates did, and what is proposed."""
    show_survey(advice.reading, advice.survey, console)
    console.print(_trial_table(advice))
    console.print(_proposal_table(advice))
    if advice.second is not None:
        console.print(_second_table(advice.second))
    for remark in advice.remarks:
        console.print(f"- {remark}", markup=False)


def show_survey(reading: Sequence[str], found: Survey, console: Console) -> None:
    """What of the data was taken for what, and what it is like."""
    for remark in reading:
        console.print(remark, soft_wrap=True, highlight=False, markup=False)
    console.print(_survey_table(found))


def as_json(advice: Advice) -> dict[str, Any]:
    """Everything, with the manifest as a deployment takes it."""
    return {
        "reading": list(advice.reading),
        "survey": asdict(advice.survey),
        "trials": [_as_json(trial) for trial in advice.trials],
        "whole": [_as_json(trial) for trial in advice.whole],
        "proposal": {
            "recipe": advice.manifest.recipe.name,
            "expected": _as_json(advice.expected),
            "popularity": _as_json(advice.baseline),
            **asdict(advice.cost),
            "masked_bytes_up": advice.masked_bytes_up,
        },
        "beside": None if advice.beside is None else _beside_as_json(advice.beside),
        "second": None if advice.second is None else advice.second.model_dump(mode="json"),
        "remarks": advice.remarks,
        "manifest": advice.manifest.model_dump(mode="json"),
    }


def _beside_as_json(beside: Beside) -> dict[str, Any]:
    return {"together": _as_json(beside.together), "alone": _as_json(beside.alone), "pays": beside.pays}


def _as_json(trial: Trial) -> dict[str, Any]:
    return {
        "recipe": trial.recipe,
        "metrics": {name: asdict(value) for name, value in trial.metrics.items()},
        "people": trial.people,
        "items": trial.items,
        "seconds": trial.seconds,
    }


def _survey_table(found: Survey) -> Table:
    table = _table("data", "")
    table.add_row("people who can take part", f"{found.people:,} (left out: {found.left_out:,})")
    table.add_row("items, interactions", f"{found.items:,}, {found.interactions:,} (density {found.density:.2%})")
    table.add_row("items of a person", f"median {found.median_history:g}, at most {found.longest_history:,}")
    table.add_row("repeated items", f"{found.repeated:.1%} of the rows")
    tied = "" if found.tied is None else f", {found.tied:.1%} of neighbours at the same time"
    table.add_row("order", f"by {found.order}{tied}")
    return table


def _trial_table(advice: Advice) -> Table:
    table = _table("validation", "hr@10", "ndcg@10", "people", "items", "seconds")
    for trial in advice.trials:
        table.add_row(trial.recipe, *_figures(trial))
    table.add_section()
    for trial in advice.whole:
        table.add_row(trial.recipe, *_figures(trial))
    if advice.beside is not None:
        table.add_section()
        table.add_row(advice.beside.together.recipe, *_figures(advice.beside.together))
    if advice.expected not in (*advice.trials, *advice.whole):
        table.add_row(advice.expected.recipe, *_figures(advice.expected))
    return table


def _figures(trial: Trial) -> tuple[str, ...]:
    values = (f"{value.mean:.3f} [{value.low:.3f}, {value.high:.3f}]" for value in trial.metrics.values())
    return (*values, f"{trial.people:,}", f"{trial.items:,}", f"{trial.seconds:.1f}")


def _proposal_table(advice: Advice) -> Table:
    manifest, cost, rounds = advice.manifest, advice.cost, advice.manifest.rounds
    table = _table("proposed", "")
    table.add_row("recipe", label(recipe_of(manifest.recipe)))
    ndcg = advice.expected.metrics["ndcg@10"]
    table.add_row("ndcg@10 to expect on validation items", f"{ndcg.mean:.3f} [{ndcg.low:.3f}, {ndcg.high:.3f}]")
    table.add_row(
        "rounds", f"{cost.rounds}, of {rounds.aggregation_goal:,} people, at least {rounds.minimum_reports:,}"
    )
    table.add_row("a person downloads", _megabytes(cost.bytes_down))
    table.add_row("a person uploads", _megabytes(cost.bytes_up))
    masked = "not possible" if advice.masked_bytes_up is None else _megabytes(advice.masked_bytes_up)
    table.add_row("a person uploads with secure aggregation", masked)
    table.add_row("memory of the server", f"about {_megabytes(cost.server_bytes)}")
    return table


def _second_table(manifest: TaskManifest) -> Table:
    table = _table("better together with", "")
    table.add_row("recipe", label(recipe_of(manifest.recipe)))
    table.add_row("rounds", f"{manifest.stop.round_budget:,}, of {manifest.rounds.aggregation_goal:,} people")
    table.add_row("a person downloads in one", _megabytes(codec.encoded_size(manifest.shared)))
    return table


def _table(first: str, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right" if column else "left")
    return table


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
