"""What silos decrypted a sum to: when it is settled, on what, and when it never will be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from fedrec_protocol.homomorphic_encryption import HomomorphicEncryption
from services.aggregator.domain.encrypted_round import Decryptions, NoAgreement, read_decrypted
from services.aggregator.domain.errors import MessageRejected

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


def sent(answers: str, *, silos: int = 5, quorum: int = 2) -> Decryptions:
    """One letter for each silo that has answered; equal letters are equal sums."""
    digests = {f"cli-{number}": answer.encode() for number, answer in enumerate(answers)}
    return Decryptions(digests, silos, quorum, LATER)


@pytest.mark.parametrize(
    ("answers", "now", "later"),
    [
        ("", None, "never"),
        ("a", None, "never"),
        ("aa", "a", "a"),
        ("ab", None, "never"),
        ("aba", "a", "a"),
        ("aabb", None, "never"),  # two rivals: all are waited for
        ("aabba", "a", "a"),
        ("aabbc", "never", "never"),
        ("abcde", "never", "never"),
        ("abbaa", "a", "a"),
    ],
)
def test_a_quorum_settles_it_unless_a_rival_has_one_too(answers: str, now: str | None, later: str | None) -> None:
    for moment, expected in ((NOON, now), (LATER, later)):
        if expected == "never":
            with pytest.raises(NoAgreement, match="at least 2 silos"):
                sent(answers).agreed(moment)
        else:
            assert sent(answers).agreed(moment) == (expected.encode() if expected else None)


def test_the_larger_of_two_quorums_waits_for_those_who_may_make_them_even() -> None:
    assert sent("aaabb", silos=6).agreed(NOON) is None
    assert sent("aaabb", silos=6).agreed(LATER) == b"a"
    assert sent("aaabba", silos=6).agreed(NOON) == b"a"
    with pytest.raises(NoAgreement):
        sent("aaabbb", silos=6).agreed(NOON)


def test_a_larger_quorum_waits_for_more() -> None:
    assert sent("aa", quorum=3).agreed(NOON) is None
    assert sent("aaba", quorum=3).agreed(NOON) == b"a"
    assert sent("aaba", quorum=3).dissenters(b"a").keys() == {"cli-2"}


def test_a_decrypted_sum_has_the_rounds_coordinates_and_no_value_that_its_reports_cannot_add_up_to() -> None:
    terms = HomomorphicEncryption(key_fingerprint="0" * 64, value_bits=10)
    most = 3 * 2**9
    bounds = np.array([most, -most, 0], "<i4")
    assert read_decrypted(bounds.tobytes(), coordinates=3, reports=3, terms=terms).tolist() == [most, -most, 0]
    for refused, coordinates in ((bounds, 2), (bounds, 4), (bounds + 1, 3), (bounds - 1, 3)):
        with pytest.raises(MessageRejected):
            read_decrypted(refused.tobytes(), coordinates=coordinates, reports=3, terms=terms)
    extreme = np.array([-(2**31)], "<i4")
    with pytest.raises(MessageRejected):
        read_decrypted(extreme.tobytes(), coordinates=1, reports=3, terms=terms)
