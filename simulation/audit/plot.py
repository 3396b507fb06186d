"""One picture of an audit: reports, membership, epsilon of the server's noise, epsilon of the other modes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simulation.audit.canaries import CanaryFigures
from simulation.audit.figures import AuditFigures
from simulation.audit.membership import MembershipFigures
from simulation.audit.modes import Central
from simulation.audit.rates import Auc
from simulation.audit.reports import ReportFigures


def write_plot(figures: AuditFigures, path: Path) -> None:
    """Four panels, as PNG. Needs matplotlib."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - optional, and slow to import

    figure = Figure(figsize=(13, 9), layout="constrained")
    (reports, membership), (epsilon, modes) = figure.subplots(2, 2)
    noised = [found for found in figures.canaries if found.noise_multiplier is not None]
    _reports(reports, figures.reports)
    _membership(membership, figures.membership)
    of_server = [found for found in noised if found.mode == Central.name]
    _epsilon(epsilon, of_server, [f"{found.noise_multiplier:g}" for found in of_server], line="-")
    epsilon.set_xlabel("noise multiplier z")
    epsilon.set_title("what canaries refute: the server's noise")
    others = [found for found in noised if found.mode != Central.name]
    _epsilon(modes, others, [f"{found.mode}\nz = {found.noise_multiplier:g}" for found in others], line="")
    modes.tick_params(axis="x", rotation=45)
    modes.set_title("what canaries refute: the other ways to add noise")
    figure.savefig(path, dpi=120)


def _reports(plot: Any, figures: Sequence[ReportFigures]) -> None:
    names = [found.seen for found in figures]
    _intervals(plot, names, [found.had_item.auc for found in figures], "which items?")
    _intervals(plot, names, [found.whose_report.auc for found in figures], "whose report?")
    plot.tick_params(axis="x", rotation=20)
    _finish_rates(plot, "one report, as the server sees it")


def _membership(plot: Any, figures: Sequence[MembershipFigures]) -> None:
    names = ["none" if found.noise_multiplier is None else f"{found.noise_multiplier:g}" for found in figures]
    _intervals(plot, names, [found.from_all_versions.auc for found in figures], "all versions, all candidates known")
    _intervals(plot, names, [found.from_last_version.auc for found in figures], "last version, one person known")
    plot.set_xlabel("noise multiplier z")
    _finish_rates(plot, "membership, from published versions")


def _epsilon(plot: Any, figures: Sequence[CanaryFigures], names: Sequence[str], *, line: str) -> None:
    estimates = [float("nan") if found.epsilon_estimate is None else found.epsilon_estimate for found in figures]
    plot.plot(names, [found.ledger_epsilon for found in figures], marker="_", markersize=14, ls=line, label="ledger")
    plot.plot(names, estimates, marker="x", ls=":" if line else "", label="estimate (Gaussian scores)")
    bounds = [found.epsilon_lower_bound for found in figures]
    plot.plot(names, bounds, marker="o", ls=line, label="lower bound (one run)")
    plot.set_yscale("symlog", linthresh=0.1)
    plot.set_ylabel("ε (user level)")
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
