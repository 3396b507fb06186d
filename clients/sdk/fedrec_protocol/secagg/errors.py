"""Why a participant will not answer, a server will not accept, or a round cannot go on."""

from enum import StrEnum


class Reason(StrEnum):
    """What was wrong, in stable words that logs and problem documents may carry."""

    COHORT_TOO_SMALL = "cohort-too-small"  # fewer than the floor of participants would be in the sum
    BELOW_THRESHOLD = "below-threshold"  # fewer than t of the neighbours shared, agreed or revealed
    ANSWERED_DIFFERENTLY = "answered-differently"  # this round was already answered with something else
    BAD_SIGNATURE = "bad-signature"  # a signature or certificate does not verify
    BAD_KEY = "bad-key"  # a low-order or malformed key
    DUPLICATE_KEY = "duplicate-key"  # one key or device twice on a roster
    WEAK_GRAPH = "weak-graph"  # a ring on which colluding neighbours could recover a secret
    WRONG_ROSTER = "wrong-roster"  # the roster is not the one that was answered, or lacks oneself
    WRONG_MODEL = "wrong-model"  # the round is about another base model than the one trained from
    WRONG_ROUND = "wrong-round"  # the message belongs to another round
    NOT_A_SURVIVOR = "not-a-survivor"  # the server counts oneself, who reported, as dropped out
    INCONSISTENT_SETS = "inconsistent-sets"  # somebody survived who never shared
    MALFORMED = "malformed"  # lengths or bitmaps that do not fit
    OUT_OF_RANGE = "out-of-range"  # a coordinate outside the agreed value bits
    POISONED_DEALER = "poisoned-dealer"  # shares that do not add up to what their dealer committed to


class SecAggError(ValueError):
    """Something in secure aggregation is not as agreed.

    Attributes:
        reason: stable word for it.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class Refused(SecAggError):
    """The participant will not answer: doing so could reveal more than the sum."""


class Rejected(SecAggError):
    """The server does not accept this participant's message; the round goes on without it."""


class RoundAborted(SecAggError):
    """The round cannot release a sum; the next one has a new id and new keys.

    Attributes:
        blamed: roster positions of participants whose own signed messages prove a fault.
    """

    def __init__(self, reason: Reason, detail: str, blamed: tuple[int, ...] = ()) -> None:
        super().__init__(reason, detail)
        self.blamed = blamed
