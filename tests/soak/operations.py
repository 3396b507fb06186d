"""What is done to a deployment: an endless list that a seed repeats."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from tests.soak.breakpoints import BREAKPOINTS, Breakpoint


class Verb(StrEnum):
    """What is done."""

    # to whoever arrives first at a breakpoint
    KILL_AT = "kill at"
    CUT_OFF_AND_KILL_AT = "cut off and kill at"  # inside COMMIT this is the other side of the commit
    CUT_OFF_AT = "cut off at"
    FREEZE_AT = "freeze at"
    CRASH_POSTGRES_AT = "crash Postgres at"
    # at any moment
    KILL = "kill"
    FREEZE = "freeze"
    RESTART = "restart"
    ADD = "add"
    REMOVE = "remove"
    STOP_POSTGRES = "stop Postgres at once"
    KILL_POSTGRES = "kill Postgres"
    BREAK_HOME = "break the objects' home"  # until the operation after the next
    JUMP = "move all clocks"
    PAUSE = "pause"
    CANCEL = "cancel"
    WAIT = "wait"


AT_BREAKPOINTS = (Verb.KILL_AT, Verb.CUT_OFF_AND_KILL_AT, Verb.CUT_OFF_AT, Verb.FREEZE_AT, Verb.CRASH_POSTGRES_AT)
_OTHERS = {
    Verb.KILL: 4,
    Verb.FREEZE: 3,
    Verb.RESTART: 2,
    Verb.ADD: 1,
    Verb.REMOVE: 1,
    Verb.STOP_POSTGRES: 1,
    Verb.KILL_POSTGRES: 1,
    Verb.BREAK_HOME: 3,
    Verb.JUMP: 2,
    Verb.PAUSE: 1,
    Verb.CANCEL: 1,
    Verb.WAIT: 2,
}
_JUMPS = (-2.0, 1.0, 5.0, 30.0, 400.0)


@dataclass(frozen=True)
class Operation:
    """One thing that is done.

    Attributes:
        verb: what.
        number: to which of those that can be chosen, modulo how many they are.
        seconds: how long it lasts, or how far clocks move.
        breakpoint_: where, if it is done at one.
    """

    verb: Verb
    number: int
    seconds: float
    breakpoint_: Breakpoint | None = None

    def __str__(self) -> str:
        where = f" {self.breakpoint_.name}" if self.breakpoint_ else ""
        return f"{self.verb}{where} (number {self.number}, {self.seconds:.2f} s)"


def operations(seed: str) -> Iterator[Operation]:
    """Every verb at every breakpoint, in random order, with something else now and then, and from the start again."""
    rng = random.Random(seed)
    # Who is cut off lives on with what it remembers, which is the most to get wrong, and needs no restart.
    pairs = list(itertools.product((*AT_BREAKPOINTS, Verb.CUT_OFF_AT, Verb.CUT_OFF_AT), BREAKPOINTS))
    while True:
        rng.shuffle(pairs)
        for verb, breakpoint_ in pairs:
            yield Operation(verb, rng.randrange(100), rng.uniform(0.1, 2.0), breakpoint_)
            while rng.random() < 0.4:
                yield _other(rng)


def _other(rng: random.Random) -> Operation:
    [verb] = rng.choices(list(_OTHERS), weights=list(_OTHERS.values()))
    seconds = rng.choice(_JUMPS) if verb is Verb.JUMP else rng.uniform(0.1, 2.0)
    return Operation(verb, rng.randrange(100), seconds)
