"""When a round closes, how many are asked, and when the task is complete."""

from typing import Annotated, Self

from pydantic import Field, PositiveInt, model_validator

from fedrec_protocol import fixed_point
from fedrec_protocol.base import Message

Rounds = Annotated[int, Field(ge=1, le=1_000_000)]
"""A number of rounds: databases have room for the sum of two."""

_TURNS_OF_A_PLACE = 4
LARGEST_COHORT = fixed_point.MAXIMUM_REPORTS // _TURNS_OF_A_PLACE
"""Places of a round at most, for each of which several may be asked."""


class RoundPolicy(Message):
    """When a round closes, and how many participants are asked."""

    aggregation_goal: PositiveInt
    """Number of reports that closes a round at once."""
    minimum_reports: PositiveInt = 1
    """Reports needed at the deadline; with fewer the round is abandoned and nothing is released."""
    over_selection_factor: float = Field(default=1.0, ge=1.0, le=4.0)
    """Assignments issued divided by the aggregation goal."""
    deadline_seconds: float = Field(default=600.0, ge=1, le=30 * 86400)
    """Time from opening a round to closing it."""
    report_timeout_seconds: float | None = Field(default=None, ge=1, le=30 * 86400)
    """Time one participant has to report before its place goes to another; null means until the deadline."""
    maximum_participations: Rounds | None = None
    """Rounds one participant may report in over the whole task; null means no limit."""
    minimum_separation: Rounds = 1
    """Rounds between two reports of one participant; 1 allows every round."""

    @property
    def cohort_size(self) -> int:
        """Assignments that may be out or reported at once."""
        return -int(-self.aggregation_goal * self.over_selection_factor // 1)

    @property
    def maximum_reports(self) -> int:
        """Assignments ever issued in one round: expired ones are replaced, but not for ever."""
        return _TURNS_OF_A_PLACE * self.cohort_size

    @model_validator(mode="after")
    def _floor_below_goal(self) -> Self:
        if self.minimum_reports > self.aggregation_goal:
            raise ValueError("minimum_reports is larger than aggregation_goal: no round could close early")
        if self.cohort_size > LARGEST_COHORT:
            raise ValueError(f"a cohort has at most {LARGEST_COHORT} places")
        return self


class Convergence(Message):
    """Stop when a federated metric no longer improves."""

    metric: str
    """One of the manifest's metrics."""
    patience: Rounds = 5
    """Rounds without an improvement after which the task completes."""
    minimum_improvement: float = Field(default=0.0, ge=0)
    """What counts as an improvement, in the metric's unit; larger is better."""


class StopCriteria(Message):
    """When a task completes: on whichever comes first."""

    round_budget: Rounds
    """Training rounds at most."""
    convergence: Convergence | None = None
    """Stop earlier when a metric has converged."""
