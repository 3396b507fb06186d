"""How often one user takes part: the claim that a scheduler and every participant enforce."""

from pydantic import PositiveInt

from fedrec_protocol.base import Message


class ParticipationLimit(Message):
    """At most so many rounds of one user, so far apart."""

    maximum_participations: PositiveInt | None = None
    """Rounds that one user may ever report in, over the whole lineage; null for no cap."""
    minimum_separation: PositiveInt = 1
    """Difference of the numbers of two rounds of one user, at least; 1 allows every round."""

    def most_participations(self, rounds: int) -> int:
        """The most rounds out of `rounds` consecutive ones that one user can have been in."""
        possible = -(-rounds // self.minimum_separation)
        return possible if self.maximum_participations is None else min(self.maximum_participations, possible)
