"""Advice for people to read, and for programs."""

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from simulation.advice.advice import Advice


def show(advice: Advice, console: Console) -> None:
    """What the data is like, how the candidates did, and what is proposed."""
    for remark in advice.reading:
        console.print(remark, soft_wrap=True, highlight=False, markup=False)
    console.print(_survey_table(advice))
    console.print(_trial_table(advice))
    console.print(_proposal_table(advice))
    for remark in advice.remarks:
        console.print(f"- {remark}", markup=False)


def as_json(advice: Advice) -> dict[str, Any]:
    """Everything, with the manifest as a deployment takes it."""
    return {
        "reading": list(advice.reading),
        "survey": asdict(advice.survey),
        "trials": [asdict(trial) for trial in advice.trials],
        "proposal": {
            "recipe": advice.manifest.recipe.name,
            **asdict(advice.cost),
            "masked_bytes_up": advice.masked_bytes_up,
        },
        "remarks": advice.remarks,
        "manifest": advice.manifest.model_dump(mode="json"),
    }


def _survey_table(advice: Advice) -> Table:
    found = advice.survey
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
        values = (f"{value.mean:.3f} [{value.low:.3f}, {value.high:.3f}]" for value in trial.metrics.values())
        table.add_row(trial.recipe, *values, f"{trial.people:,}", f"{trial.items:,}", f"{trial.seconds:.1f}")
    return table


def _proposal_table(advice: Advice) -> Table:
    manifest, cost, rounds = advice.manifest, advice.cost, advice.manifest.rounds
    table = _table("proposed", "")
    table.add_row("recipe", manifest.recipe.name)
    table.add_row(
        "rounds", f"{cost.rounds}, of {rounds.aggregation_goal:,} people, at least {rounds.minimum_reports:,}"
    )
    table.add_row("a person downloads", _megabytes(cost.bytes_down))
    table.add_row("a person uploads", _megabytes(cost.bytes_up))
    masked = "not possible" if advice.masked_bytes_up is None else _megabytes(advice.masked_bytes_up)
    table.add_row("a person uploads with secure aggregation", masked)
    table.add_row("memory of the server", f"about {_megabytes(cost.server_bytes)}")
    return table


def _table(first: str, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right" if column else "left")
    return table


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
