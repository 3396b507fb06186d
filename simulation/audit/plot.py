"""One picture of an audit: reports, membership, epsilon."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simulation.audit.canaries import CanaryFigures
from simulation.audit.figures import AuditFigures
from simulation.audit.membership import MembershipFigures
from simulation.audit.rates import Auc
from simulation.audit.reports import ReportFigures


def write_plot(figures: AuditFigures, path: Path) -> None:
    """Three panels, as PNG. Needs matplotlib."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - optional, and slow to import

    figure = Figure(figsize=(14, 4.5), layout="constrained")
    reports, membership, epsilon = figure.subplots(1, 3)
    _reports(reports, figures.reports)
    _membership(membership, figures.membership)
    _epsilon(epsilon, [found for found in figures.canaries if found.noise_multiplier is not None])
    figure.savefig(path, dpi=120)


def _reports(plot: Any, figures: Sequence[ReportFigures]) -> None:
    names = [found.seen for found in figures]
    _intervals(plot, names, [found.had_item for found in figures], "which items?")
    _intervals(plot, names, [found.whose_report for found in figures], "whose report?")
    plot.tick_params(axis="x", rotation=20)
    _finish_rates(plot, "one report, as the server sees it")


def _membership(plot: Any, figures: Sequence[MembershipFigures]) -> None:
    names = [_noise_name(found.noise_multiplier) for found in figures]
    _intervals(plot, names, [found.from_all_versions for found in figures], "all versions, all candidates known")
    _intervals(plot, names, [found.from_last_version for found in figures], "last version, one person known")
    plot.set_xlabel("noise multiplier z")
    _finish_rates(plot, "membership, from published versions")


def _epsilon(plot: Any, figures: Sequence[CanaryFigures]) -> None:
    names = [_noise_name(found.noise_multiplier) for found in figures]
    plot.plot(names, [found.ledger_epsilon for found in figures], marker="_", markersize=14, label="ledger")
    plot.plot(
        names, [found.epsilon_estimate for found in figures], marker="x", ls=":", label="estimate (Gaussian scores)"
    )
    plot.plot(names, [found.epsilon_lower_bound for found in figures], marker="o", label="lower bound (one run)")
    plot.set_yscale("symlog", linthresh=0.1)
    plot.set_xlabel("noise multiplier z")
    plot.set_ylabel("ε (user level)")
    plot.set_title("what canaries refute")
    plot.grid(alpha=0.3)
    plot.legend()


def _intervals(plot: Any, names: Sequence[str], rates: Sequence[Auc], label: str) -> None:
    below = [rate.mean - rate.low for rate in rates]
    above = [rate.high - rate.mean for rate in rates]
    plot.errorbar(names, [rate.mean for rate in rates], yerr=[below, above], fmt="o", capsize=4, label=label)


def _finish_rates(plot: Any, title: str) -> None:
    plot.axhline(0.5, color="grey", ls="--", lw=1)
    plot.set_ylim(0.35, 1.02)
    plot.set_ylabel("AUC (0.5 is guessing)")
    plot.set_title(title)
    plot.grid(alpha=0.3)
    plot.legend()


def _noise_name(noise_multiplier: float | None) -> str:
    return "none" if noise_multiplier is None else f"{noise_multiplier:g}"
