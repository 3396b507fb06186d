"""`fedrec data`: public data sets for simulation."""

from pathlib import Path
from typing import Annotated

import typer

from fedrec.commands.columns import reads_columns
from fedrec.data.choice import FOUND, ColumnChoice
from fedrec.data.public_sets import PUBLIC_SETS
from fedrec.program import PROGRAM

data = typer.Typer(help="Public data sets, for simulation.", no_args_is_help=True)


@data.command("list")
def list_command() -> None:
    """The data sets that can be downloaded, with their publishers' terms."""
    for name, source in PUBLIC_SETS.items():
        typer.echo(f"{name:<16} {source.size_bytes / 1e6:>7.1f} MB  {source.terms}")


@data.command("show")
@reads_columns
def show_command(
    path: Annotated[Path, typer.Argument(metavar="DATA", help="A file of interactions, an archive, or a folder.")],
    columns: ColumnChoice = FOUND,
) -> None:
    """Read a data set, and say what was taken for what and what it is like."""
    from rich.console import Console  # noqa: PLC0415 - --help need not load it

    from fedrec.data.interactions import DataError  # noqa: PLC0415 - --help need not load what computes
    from fedrec.data.opening import read_interactions  # noqa: PLC0415 - as above
    from simulation.advice.screen import show_survey  # noqa: PLC0415 - as above
    from simulation.advice.survey import survey  # noqa: PLC0415 - as above

    try:
        found = read_interactions(path, columns)
    except (DataError, OSError, ImportError) as problem:
        raise typer.BadParameter(str(problem)) from problem
    show_survey(found.remarks, survey(found, found.histories()), Console())


@data.command("download")
def download_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="One of " + ", ".join(PUBLIC_SETS) + ".")],
    to: Annotated[Path, typer.Option(help="The folder in which a folder of this name is made.")] = Path("data"),
) -> None:
    """Download a data set, check its SHA-256, and unpack it."""
    from fedrec.data.download import download  # noqa: PLC0415 - --help need not load httpx
    from fedrec.data.interactions import DataError  # noqa: PLC0415 - --help need not load what computes

    if name not in PUBLIC_SETS:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(PUBLIC_SETS)}")
    source = PUBLIC_SETS[name]
    typer.echo(f"{name} from {source.url}: {source.terms}")
    try:
        folder = download(name, source, to)
    except (DataError, OSError) as failure:
        typer.echo(f"fedrec: {failure}", err=True)
        raise typer.Exit(1) from failure
    typer.echo(f"{folder} holds it. Try: {PROGRAM} recommend-config {folder}")
