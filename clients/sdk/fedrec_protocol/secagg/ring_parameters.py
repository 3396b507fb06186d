"""Degree and threshold of the sparse graph: how few neighbours are enough.

Bell et al. 2020, section 3.2 and the malicious variant of section 4, https://eprint.iacr.org/2020/704. With
a random ring the corrupt and the dropped neighbours of anybody are hypergeometric, so three tails decide, each
taken over all participants by a union bound and computed here without rounding.
"""

import math
from fractions import Fraction

from fedrec_protocol.secagg.descriptor import Ring

PRIVACY_BITS = 40
FAILURE_BITS = 20


def ring_parameters(participants: int, *, corrupt: Fraction, dropouts: Fraction) -> Ring:
    """The smallest ring that is private but for 2**-40 and completes but for 2**-20.

    Args:
        participants: Size of the roster.
        corrupt: Largest fraction that colludes with the operator.
        dropouts: Largest fraction that drops out between sharing and revealing.

    Raises:
        ValueError: no ring on so few participants, or with so many corrupt, gives these assurances.
    """
    corrupt_count, dropped_count = math.floor(corrupt * participants), math.floor(dropouts * participants)
    for degree in range(2, participants, 2):
        threshold = _least_threshold(participants, corrupt_count, degree)
        if (
            threshold <= degree
            and _completes(participants, dropped_count, degree, threshold)
            and _stays_connected(participants, corrupt_count + dropped_count, degree)
        ):
            return Ring(degree=degree, threshold=threshold)
    raise ValueError(f"no ring of {participants} stands {corrupt} corrupt and {dropouts} dropouts")


def is_private(ring: Ring, participants: int, *, corrupt: Fraction, dropouts: Fraction) -> bool:
    """Whether a stated ring gives the assurance of privacy on a roster of this size: what a participant checks."""
    corrupt_count, dropped_count = math.floor(corrupt * participants), math.floor(dropouts * participants)
    return ring.threshold >= _least_threshold(participants, corrupt_count, ring.degree) and _stays_connected(
        participants, corrupt_count + dropped_count, ring.degree
    )


def _least_threshold(participants: int, corrupt_count: int, degree: int) -> int:
    """The least t that an operator with so many colluders cannot turn against anybody.

    Two disjoint groups of honest neighbours, each helped by all the corrupt ones, must not both reach t, or an
    operator could show two sets of survivors and recover both of one's secrets.
    """
    return (degree + _quantile(participants, corrupt_count, degree)) // 2 + 1


def _quantile(participants: int, marked: int, degree: int) -> int:
    """The least c such that nobody has more than c marked neighbours, but for 2**-PRIVACY_BITS."""
    bound = Fraction(1, participants << PRIVACY_BITS)
    return next(c for c in range(degree + 1) if _tail(participants - 1, marked, degree, c) <= bound)


def _completes(participants: int, dropped: int, degree: int, threshold: int) -> bool:
    """Whether everybody keeps t neighbours, but for 2**-FAILURE_BITS."""
    return _tail(participants - 1, dropped, degree, degree - threshold) <= Fraction(1, participants << FAILURE_BITS)


def _stays_connected(participants: int, removed: int, degree: int) -> bool:
    """Whether no k/2 ring places in a row are all corrupt or dropped, but for 2**-PRIVACY_BITS."""
    run = degree // 2
    if removed < run:
        return True
    gap = Fraction(math.comb(participants - run, removed - run), math.comb(participants, removed))
    return gap <= Fraction(1, participants << PRIVACY_BITS)


def _tail(population: int, marked: int, draws: int, limit: int) -> Fraction:
    """The probability of more than `limit` marked in so many draws without replacement."""
    ways = sum(
        math.comb(marked, hits) * math.comb(population - marked, draws - hits)
        for hits in range(limit + 1, min(marked, draws) + 1)
    )
    return Fraction(ways, math.comb(population, draws))
