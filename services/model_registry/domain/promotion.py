"""Which version an alias may move to."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from fedrec_protocol.registry_messages import AliasMove, Gate
from services.model_registry.domain.errors import GateFailed, NothingToRollBack


class AliasAction(StrEnum):
    """Why an alias moved."""

    PROMOTE = "promote"  # to the version that an operator chose
    ROLL_BACK = "roll-back"  # to the one before


def require_gate(gate: Gate, candidate: Mapping[str, float], incumbent: Mapping[str, float] | None) -> None:
    """Let a candidate pass that is at least as good as the gate asks.

    Args:
        gate: The metric and the improvement to show; larger is better.
        candidate: The candidate's federated metrics.
        incumbent: Those of the version that the alias names; None when it names none, and then any
            candidate passes that was measured at all.

    Raises:
        GateFailed: too small an improvement, or one of the two was never measured.
    """
    name = gate.metric
    if name not in candidate:
        raise GateFailed(f"{name} of the candidate was never measured")
    if incumbent is None:
        return
    if name not in incumbent:
        raise GateFailed(f"{name} of the candidate is {candidate[name]:.6g}, that of the incumbent was never measured")
    if candidate[name] < incumbent[name] + gate.minimum_improvement:
        raise GateFailed(
            f"{name} of the candidate is {candidate[name]:.6g}, of the incumbent {incumbent[name]:.6g}; "
            f"an improvement of at least {gate.minimum_improvement:.6g} is asked for"
        )


def version_before(moves: Iterable[AliasMove]) -> str:
    """The version that a roll-back returns to.

    A roll-back undoes the last promotion that was not yet undone, so that a second one goes further
    back instead of returning to what was just left.

    Args:
        moves: The alias's whole log, oldest first.

    Raises:
        NothingToRollBack: there is no earlier version.
    """
    held: list[str] = []
    for move in moves:
        if move.action == AliasAction.PROMOTE:
            held.append(move.to_version_id)
        else:
            held.pop()
    if len(held) < 2:
        raise NothingToRollBack("it has named one version only: promote another one")
    return held[-2]
