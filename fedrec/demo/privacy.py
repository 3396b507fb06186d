"""How the demonstration's reports reach the aggregator."""

from enum import StrEnum

MASKED_PEOPLE = 60
"""People who take part unless it is said how many: everybody exchanges keys with everybody, and all their devices run
on this machine."""


class Privacy(StrEnum):
    """How reports reach the aggregator."""

    PLAIN = "plain"  # one process of the aggregator sees each report while it adds it
    SECAGG = "secagg"  # the aggregator sees their sum only
