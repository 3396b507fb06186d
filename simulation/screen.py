"""What a simulation shows while it runs."""

from collections import deque

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from fedrec_protocol.messages import RoundKind
from simulation.final_test import TestRow
from simulation.records import RoundRecord

_ROWS = 12


class Screen:
    """A progress bar with the time that is left, over a live table; a line per round where there is no terminal."""

    def __init__(self, console: Console, rounds: int) -> None:
        self._console = console
        self._recent: deque[RoundRecord] = deque(maxlen=_ROWS)
        self._progress = Progress(
            TextColumn("rounds"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._bar = self._progress.add_task("rounds", total=rounds)
        self._live = Live(console=console, refresh_per_second=4) if console.is_terminal else None

    def __enter__(self) -> "Screen":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, record: RoundRecord) -> None:
        """Show one more round."""
        self._recent.append(record)
        self._progress.update(self._bar, completed=record.version)
        if self._live is not None:
            self._live.update(Group(self._table(), self._progress))
            return
        values = "  ".join(f"{name} {value:.4f}" for name, value in record.metrics.items())
        self._console.print(f"round {record.number:>4}  {record.state}  {record.reports} reports  {values}")

    def _table(self) -> Table:
        metrics = dict.fromkeys(name for record in self._recent for name in record.metrics)
        table = Table(box=None, pad_edge=False)
        for title in ("round", "state", "reports", "dropped", "late", "people/s", *metrics):
            table.add_column(title, justify="left" if title == "state" else "right")
        for record in self._recent:
            name = "final" if record.kind is RoundKind.EVALUATION else str(record.number)
            counts = (record.reports, record.dropped, record.late, round(record.reports / record.computing_seconds))
            values = (f"{record.metrics[metric]:.4f}" if metric in record.metrics else "" for metric in metrics)
            table.add_row(name, str(record.state), *map(str, counts), *values)
        return table


def quality_table(rows: list[TestRow]) -> Table:
    """The closing comparison on the test items."""
    table = Table(box=None, pad_edge=False)
    table.add_column("test, full ranking")
    for name in rows[0].metrics:
        table.add_column(name, justify="right")
    for row in rows:
        values = (f"{value.mean:.4f} [{value.low:.4f}, {value.high:.4f}]" for value in row.metrics.values())
        table.add_row(row.model, *values)
    return table
