"""Run the benchmarks and print one table: `python -m benchmarks --only fold`."""

import importlib
import os
import pkgutil
import time
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

import benchmarks
from benchmarks.harness.measurement import Measurement

_EVERY_NAME = sorted(
    module.name
    for module in pkgutil.iter_modules(benchmarks.__path__)
    if not module.ispkg and not module.name.startswith("_")
)
_Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="NAME", help=f"Run this one; may be repeated: {', '.join(_EVERY_NAME)}"),
]


def main(only: _Only = None) -> None:
    """Measure, and print what was measured beside the marks. Ratios travel between machines; seconds do not."""
    names = only or _EVERY_NAME
    for name in names:
        if name not in _EVERY_NAME:
            raise typer.BadParameter(f"{name!r} is none of: {', '.join(_EVERY_NAME)}", param_hint="--only")
    console = Console()
    table = Table("benchmark", "measured", "", "mark", "", "remark")
    table.columns[2].justify = "right"
    started = time.monotonic()
    for name in names:
        with console.status(f"{name} ..."):
            for measurement in _measure(name):
                table.add_row(name, *_cells(measurement))
        table.add_section()
    console.print(table)
    load, cores = os.getloadavg()[0], os.cpu_count()
    console.print(f"{time.monotonic() - started:.0f} s; load average now {load:.1f} on {cores} cores")


def _measure(name: str) -> Iterator[Measurement]:
    yield from importlib.import_module(f"benchmarks.{name}").measure()


def _cells(measurement: Measurement) -> tuple[str, str, str, str, str]:
    mark = "" if measurement.mark is None else str(measurement.mark)
    verdict = "" if not mark else "[green]met[/]" if measurement.is_met else "[bold red]missed[/]"
    value = f"{measurement.value:.3g} {measurement.unit}".rstrip()
    return measurement.what, value, mark, verdict, measurement.remark


if __name__ == "__main__":
    typer.run(main)
