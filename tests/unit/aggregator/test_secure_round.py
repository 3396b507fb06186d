"""The phases of a masked round: when each ends, and with how many it goes on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fedrec_protocol.secagg.descriptor import Deadlines
from fedrec_protocol.secure_messages import SecurePhase
from services.aggregator.domain.secure_round import SecureRound, TooFew
from tests.unit.secagg.secagg_round import descriptor

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PHASES = list(SecurePhase)
ENDS = dict(zip(PHASES, (600, 660, 720, 780, 840), strict=False))
FLOOR = 7


def open_in(phase: SecurePhase, since: int = 0) -> SecureRound:
    """A round in a phase that began so many seconds after noon; everybody's phases end at `ENDS`."""
    ends = (int(NOON.timestamp()) + seconds for seconds in ENDS.values())
    names = ("advertise", "share", "report", "acknowledge", "reveal")
    agreed = descriptor(minimum_survivors=FLOOR, deadlines=Deadlines(**dict(zip(names, ends, strict=True))))
    return SecureRound("rnd_1", phase, agreed, NOON + timedelta(seconds=since))


@pytest.mark.parametrize("phase", PHASES[:3])
def test_what_goes_into_the_sum_needs_the_floor_of_survivors(phase: SecurePhase) -> None:
    assert open_in(phase).next(FLOOR, NOON).phase is PHASES[phase.place + 1]
    with pytest.raises(TooFew, match=f"{FLOOR - 1} of at least {FLOOR}"):
        open_in(phase).next(FLOOR - 1, NOON)


@pytest.mark.parametrize("phase", PHASES[3:5])
def test_whether_enough_have_confirmed_or_revealed_is_for_the_thresholds_to_say(phase: SecurePhase) -> None:
    following = open_in(phase).next(0, NOON)
    assert (following.phase, following.since) == (PHASES[phase.place + 1], NOON)


@pytest.mark.parametrize("phase", PHASES[:5])
def test_a_phase_ends_with_the_last_answer_or_with_its_time(phase: SecurePhase) -> None:
    began = 0 if phase.place == 0 else ENDS[PHASES[phase.place - 1]]
    ends = NOON + timedelta(seconds=ENDS[phase])
    round_ = open_in(phase, began)
    for now, answered, is_due in (
        (NOON, 8, True),
        (NOON, 7, False),
        (ends - timedelta(microseconds=1), 7, False),
        (ends, 7, True),
    ):
        assert round_.is_due(answered=answered, expected=8, now=now) is is_due


def test_a_phase_that_began_early_ends_early() -> None:
    assert open_in(SecurePhase.SHARING, since=10).deadline == NOON + timedelta(seconds=70)


def test_a_sum_that_is_being_unmasked_waits_for_nobody() -> None:
    round_ = open_in(SecurePhase.UNMASKING)
    assert not round_.is_due(answered=9, expected=0, now=NOON + timedelta(days=1))
