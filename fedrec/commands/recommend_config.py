"""`fedrec recommend-config`: a task that suits a data set."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from fedrec.commands.columns import reads_columns
from fedrec.commands.outputs import writable_file
from fedrec.commands.refusals import refusing_arguments
from fedrec.data.choice import FOUND, ColumnChoice
from fedrec.program import PROGRAM

if TYPE_CHECKING:
    from fedrec_protocol.manifest import TaskManifest

_USUAL_EPSILON = 8.0
_WIDTH_OF_A_FILE = 120


@reads_columns
def recommend_config(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A file of interactions, or a folder that holds one.")],
    out: Annotated[Path, typer.Option(help="Where to write the task's manifest.", callback=writable_file)] = Path(
        "recommended-task.json"
    ),
    minutes: Annotated[float, typer.Option(min=0, help="Time for trials; a first stage is always finished.")] = 10.0,
    megabytes: Annotated[
        float, typer.Option(min=0.001, help="The largest model or report that devices may have to transfer.")
    ] = 256.0,
    minimum_support: Annotated[int, typer.Option(min=1, help="Leave out items with fewer interactions.")] = 1,
    privacy: Annotated[
        Literal["plain", "secagg", "dp"] | None,
        typer.Option(
            help="With secagg masks hide each report; with dp noise hides each person.",
            show_default="plain; dp with --epsilon",
        ),
    ] = None,
    epsilon: Annotated[
        float | None,
        typer.Option(min=0.001, max=1000, help="What a task may spend on one person.", show_default="8 with dp"),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the task and of its model.")] = "recommender",
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    columns: ColumnChoice = FOUND,
) -> None:
    """Propose a recipe, rounds and privacy settings for a data set, with what to expect of them.

    The manifest is what `fedrec simulate DATA --manifest FILE`, `fedrec train FILE` and POST /v1/tasks take. Quality is
    measured on validation items; test items are not looked at.
    """
    from simulation.advice.advice import advise  # noqa: PLC0415 - --help need not load what computes
    from simulation.advice.screen import as_json as encoded  # noqa: PLC0415 - as above
    from simulation.advice.screen import show  # noqa: PLC0415 - as above
    from simulation.advice.wishes import Privacy, Wishes  # noqa: PLC0415 - as above

    privacy = privacy or ("plain" if epsilon is None else "dp")
    if epsilon is not None and privacy != "dp":
        raise typer.BadParameter(f"is spent with --privacy dp, not with {privacy}", param_hint="--epsilon")
    wishes = Wishes(
        data=data,
        columns=columns,
        name=name,
        minimum_support=minimum_support,
        privacy=Privacy(privacy),
        epsilon=_USUAL_EPSILON if epsilon is None else epsilon,
        largest_bytes=round(1e6 * megabytes),
        seconds=60 * minutes,
        seed=seed,
    )
    try:
        with refusing_arguments(), _steps_told("looking at the data") as tell:
            advice = advise(wishes, tell)
            out.write_text(advice.manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
            second = advice.second
            beside = out.with_name(f"{out.stem}-second{out.suffix}")
            if second is not None:
                beside.write_text(second.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except ImportError as failure:
        typer.echo(f"fedrec: {failure}", err=True)
        raise typer.Exit(1) from failure
    if as_json:
        typer.echo(json.dumps(encoded(advice), indent=2))
        return
    console = Console() if sys.stdout.isatty() else Console(width=_WIDTH_OF_A_FILE)
    show(advice, console)
    support = "" if minimum_support == 1 else f" --minimum-support {minimum_support}"
    console.print(
        f"\nWritten to {out}. Try it: {PROGRAM} simulate {data} --manifest {out}{support}{columns.as_options()}",
        soft_wrap=True,
    )
    if second is not None:
        console.print(f"\nThe second task is in {beside}. To serve both together:")
        for number, step in enumerate(_steps(advice.manifest, out, second, beside), start=1):
            console.print(f"  {number}. {step}", soft_wrap=True)
        manifests = f"--manifest {out} --manifest {beside}"
        console.print(f"Try it: {PROGRAM} simulate {data} {manifests}{support}{columns.as_options()}", soft_wrap=True)


@contextmanager
def _steps_told(first: str) -> Iterator[Callable[[str], None]]:
    """What is being done, on stderr: beside a spinner in a terminal, on lines of its own elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield partial(typer.echo, err=True)
        return
    with console.status(first) as status:
        yield status.update


def _steps(first: "TaskManifest", path: Path, second: "TaskManifest", beside: Path) -> tuple[str, ...]:
    """The commands from two manifests to a combined model that is served."""
    goal = first.rounds.aggregation_goal
    return (
        f"{PROGRAM} train {path} --promote production",
        f"{PROGRAM} train {beside} --promote production",
        f"{PROGRAM} model combine {first.name}-both --member {first.name} --member {second.name} --goal {goal}",
        f"{PROGRAM} train combined-task.json --promote production",
    )
