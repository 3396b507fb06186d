"""Whose report is in time."""

from dataclasses import dataclass

import numpy as np

from fedrec_protocol.manifest import RoundPolicy
from simulation.devices import NEVER, Devices, Load


@dataclass(frozen=True)
class Arrivals:
    """What becomes of a cohort's reports."""

    in_time: list[int]
    """Whose reports count, in the order of their arrival."""
    dropped: int
    """People who fell silent."""
    late: int
    """People whose report comes after the round has closed, or after their own time was up."""
    seconds: float
    """Time from opening to closing the round."""


def arrivals(cohort: list[int], policy: RoundPolicy, devices: Devices, round_number: int, load: Load) -> Arrivals:
    """Who makes it: the first `aggregation_goal` reports close the round, else the deadline does.

    A place that falls free is not given to somebody else, whatever `report_timeout_seconds` says.
    """
    if not cohort:
        return Arrivals([], 0, 0, policy.deadline_seconds)
    times = devices.seconds(round_number, np.asarray(cohort, dtype=np.int64), load)
    limit = min(policy.deadline_seconds, policy.report_timeout_seconds or policy.deadline_seconds)
    order = np.argsort(times, kind="stable")
    prompt = [int(place) for place in order if times[place] <= limit][: policy.aggregation_goal]
    dropped = int(np.count_nonzero(times == NEVER))
    is_full = len(prompt) == policy.aggregation_goal
    return Arrivals(
        in_time=[cohort[place] for place in prompt],
        dropped=dropped,
        late=len(cohort) - dropped - len(prompt),
        seconds=float(times[prompt[-1]]) if is_full else policy.deadline_seconds,
    )
