"""Ctrl-C and SIGTERM end a program in the same orderly way."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

Release = Callable[[], None]


@contextlib.contextmanager
def orderly_termination() -> Iterator[Release]:
    """Within the block SIGTERM raises SystemExit, as Ctrl-C raises KeyboardInterrupt, so that `finally` runs.

    Yields a function to call before cleaning up: from then on both signals are ignored until the block ends, since
    a second one would leave the rest of the clean-up undone. Does nothing outside the main thread, where Python
    delivers no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield lambda: _ignore(list(previous))
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _terminate(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _ignore(numbers: list[signal.Signals]) -> None:
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)
