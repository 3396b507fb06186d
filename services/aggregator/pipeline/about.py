"""What a log line says of the round that it is about: all lines of one task can be found by its id."""

from typing import TypedDict

from services.aggregator.domain.rounds import Round


class About(TypedDict):
    """Fields of the line."""

    task_id: str
    round_id: str
    number: int


def about(round_: Round) -> About:
    """The fields, as keyword arguments for the logger."""
    return {"task_id": round_.task_id, "round_id": round_.id, "number": round_.number}
