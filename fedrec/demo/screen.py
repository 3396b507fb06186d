"""What the demonstration shows while it runs."""

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fedrec.demo.baselines import Quality
from fedrec_protocol.messages import RoundKind, RoundState
from fedrec_protocol.operator_messages import RoundView

_ROWS = 12


class Screen:
    """A live table on a terminal, one line for each round elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._printed: set[int] = set()
        self._live = Live(console=console, refresh_per_second=4, transient=False) if console.is_terminal else None

    def __enter__(self) -> "Screen":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, rounds: Sequence[RoundView]) -> None:
        """Show the rounds, given newest first."""
        if self._live is not None:
            self._live.update(self._picture(rounds))
            return
        for round_ in reversed(rounds):
            if round_.state is RoundState.PUBLISHED and round_.number not in self._printed:
                self._printed.add(round_.number)
                self.console.print(f"round {round_.number:>3}  {round_.reports} reports  {_metrics(round_)}")

    def _picture(self, rounds: Sequence[RoundView]) -> RenderableType:
        table = Table(box=None, pad_edge=False)
        for title in ("round", "", "reports", "HR@10", "NDCG@10"):
            table.add_column(title, justify="left" if not title else "right")
        for round_ in reversed(rounds[:_ROWS]):
            table.add_row(*_row(round_))
        waiting = Text(rounds[0].waiting_for if rounds else "waiting for the first round", style="dim")
        return Group(table, Text(), waiting)


def _row(round_: RoundView) -> tuple[RenderableType, ...]:
    bar = ProgressBar(total=round_.aggregation_goal, completed=round_.reports, width=30)
    name = "final" if round_.kind is RoundKind.EVALUATION else str(round_.number)
    metrics = round_.metrics or {}
    values = [f"{metrics[name]:.4f}" if name in metrics else "" for name in ("hr@10", "ndcg@10")]
    return name, bar, str(round_.reports), *values


def _metrics(round_: RoundView) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in (round_.metrics or {}).items())


def quality_table(rows: Sequence[tuple[str, Quality]]) -> Table:
    """The closing comparison on the test films."""
    table = Table(box=None, pad_edge=False)
    table.add_column("on the test films (full ranking)")
    table.add_column("HR@10", justify="right")
    table.add_column("NDCG@10", justify="right")
    for name, quality in rows:
        table.add_row(name, f"{quality.hit_rate:.4f}", f"{quality.ndcg:.4f}")
    return table
