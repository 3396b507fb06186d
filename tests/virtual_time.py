"""Event loops whose clock jumps to the next timer as soon as nothing else is to be done.

What waits costs no time, and happens in the order of its timers however busy the machine is: a process that does not
get its turn for a moment misses nothing. For coroutines alone: the clock would jump while a thread works.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(scenario: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` in virtual time, which begins at zero."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(scenario)


class _Selector(selectors.DefaultSelector):
    """Instead of waiting for a while it makes the clock jump."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None:
            self.now += max(0.0, timeout)
            timeout = 0.0
        return super().select(timeout)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now
