"""`python -m benchmarks.quality`: train, test, and write docs/results.md."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from benchmarks.quality.entries import TABLES
from benchmarks.quality.kept import Versions
from benchmarks.quality.page import page
from benchmarks.quality.rows import Row
from benchmarks.quality.run import rows_of
from benchmarks.quality.stored import Stored
from fedrec_recipes.evaluation import HeldOut, probe_hit_rate
from fedrec_recipes.negatives import sample_negatives

DOCS = Path(__file__).parents[2] / "docs"
MOST_PROBED = 500
"""People that the probe asks: each costs twenty draws an item."""


def main(
    data: Annotated[Path, typer.Option(help="The folder that holds the data sets in folders of their own.")],
    only: Annotated[
        list[str] | None, typer.Option(help=f"Of {', '.join(table.slug for table in TABLES)}.", show_default="all")
    ] = None,
    model: Annotated[list[str] | None, typer.Option(help="Only these models, by name.", show_default="all")] = None,
    out: Annotated[Path, typer.Option(help="Folder of results.json and results.md.")] = DOCS,
    versions: Annotated[
        Path | None,
        typer.Option(help="Folder that keeps trained members of combined models.", show_default="none are kept"),
    ] = None,
) -> None:
    """Train every model as devices would, test it once, and write the page; rows that were made before stay."""
    console = Console()
    unknown = set(only or ()) - {table.slug for table in TABLES}
    if unknown:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: not a table", param_hint="--only")
    stored = Stored.read(out / "results.json")
    for table in (table for table in TABLES if not only or table.slug in only):
        loaded = table.load(data)
        probed = [HeldOut(case.person, case.history, int(case.targets[0])) for case in loaded.test[:MOST_PROBED]]
        stored.probes[loaded.name] = probe_hit_rate(
            sample_negatives, probed, loaded.number_of_items, np.random.default_rng(0)
        )
        for entry in (entry for entry in table.entries if not model or entry.model in model):
            with console.status(f"{loaded.name}: {entry.model} ..."):
                for row in rows_of(table, entry, loaded, Versions(versions)):
                    console.print(_in_short(row))
                    stored.put(row)
            stored.write(out / "results.json")
            (out / "results.md").write_text(page(stored.rows, stored.probes), encoding="utf-8")


def _in_short(row: Row) -> str:
    return (
        f"{row.data}: {row.model}, {row.how}, fitted on {row.fit}: "
        f"{row.hr.mean:.4f}/{row.ndcg.mean:.4f} ({row.seconds:.0f} s)"
    )


if __name__ == "__main__":
    typer.run(main)
