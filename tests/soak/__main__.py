"""`./run soak`: real processes killed, frozen and cut off under load, for as long as one likes."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from tests.soak.breakpoints import BREAKPOINTS
from tests.soak.coverage import Coverage
from tests.soak.homes import HomeKind
from tests.soak.operations import AT_BREAKPOINTS
from tests.soak.soak import Soak


def main(
    minutes: Annotated[float, typer.Option(min=0.1, help="How long; with several homes, for all of them.")] = 10.0,
    home: Annotated[list[HomeKind] | None, typer.Option(help="Where objects live; may be repeated.")] = None,
    seed: Annotated[int | None, typer.Option(help="Repeats a list of operations. [default: a new one]")] = None,
    start: Annotated[int, typer.Option(min=0, help="Leave out so many operations of the list.")] = 0,
    coverage: Annotated[
        Path | None,
        typer.Option(help="A file that keeps what was reached at breakpoints; what is missing goes first."),
    ] = None,
) -> None:
    """Do what may happen to a deployment, and hold every published sum against what was acknowledged."""
    console = Console()
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    homes, covered = home or list(HomeKind), Coverage(coverage)
    for kind in homes:
        console.print(f"[bold]{kind}[/]: seed {seed}, {60 * minutes / len(homes):.0f} s")
        begun = time.monotonic()
        soak = Soak(kind, seed, start, covered)
        soak.progress = lambda words: console.print(f"[dim]{time.monotonic() - begun:6.0f} s[/] {words}")  # noqa: B023
        try:
            soak.run(seconds=60 * minutes / len(homes))
        except Exception:
            _explain(console, soak)
            raise
        _summarise(console, soak)
    console.print(covered.in_words(), soft_wrap=True)


def _explain(console: Console, soak: Soak) -> None:
    console.print("[bold red]broken[/]; what was done since these tasks began:")
    for number, operation in soak.done:
        console.print(f"  {number:4d} {operation}")
    console.print(f"logs: {soak.logs}")
    first = soak.done[0][0] if soak.done else soak.start
    console.print(f"repeat it: ./run soak --home {soak.home} --seed {soak.seed} --start {first}", soft_wrap=True)


def _summarise(console: Console, soak: Soak) -> None:
    tally = soak.tally
    table = Table(Column("stopped at", no_wrap=True), *(verb.removesuffix(" at") for verb in AT_BREAKPOINTS))
    for breakpoint_ in BREAKPOINTS:
        table.add_row(breakpoint_.name, *(str(tally.stopped[verb, breakpoint_]) for verb in AT_BREAKPOINTS))
    console.print(table)
    rounds = ", ".join(f"{count} {state}" for state, count in sorted(tally.rounds.items()))
    console.print(
        f"{soak.home}: {tally.operations} operations, {sum(tally.stopped.values())} of them at a breakpoint "
        f"({len(tally.stopped)} different ones of {len(AT_BREAKPOINTS) * len(BREAKPOINTS)}); "
        f"rounds: {rounds}; {tally.reports} acknowledged reports and {tally.app_reports} from apps, "
        "each in one sum, once",
        soft_wrap=True,
    )


if __name__ == "__main__":
    typer.run(main)
