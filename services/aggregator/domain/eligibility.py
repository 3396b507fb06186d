"""Who may take part in a round."""

from fedrec_protocol.manifest import RoundPolicy
from fedrec_protocol.messages import NotSelectedReason
from services.aggregator.domain.rounds import Round


def why_not_eligible(policy: RoundPolicy, round_: Round, reports: int, last_round: int) -> NotSelectedReason | None:
    """Why a participant may not take part; None when it may.

    Args:
        policy: The task's caps.
        round_: The open round.
        reports: Reports of this participant in this task so far.
        last_round: Number of the round of its last report.
    """
    if policy.maximum_participations is not None and reports >= policy.maximum_participations:
        return NotSelectedReason.PARTICIPATION_CAP
    if round_.number - last_round < policy.minimum_separation:
        return NotSelectedReason.TOO_SOON
    return None
