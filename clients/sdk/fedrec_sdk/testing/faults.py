"""What can go wrong on the way, on demand."""

import threading
from dataclasses import dataclass
from enum import Enum, auto


class FaultKind(Enum):
    """How a request suffers."""

    REFUSE = auto()  # a problem document, and nothing is done
    DROP_REQUEST = auto()  # the connection breaks before anything is done
    DROP_RESPONSE = auto()  # it is done, and the connection breaks before the answer
    CUT_BODY = auto()  # the connection breaks in the middle of the answer
    CORRUPT_BODY = auto()  # one byte of the answer is wrong


@dataclass
class Fault:
    """A fault that meets the next requests whose path contains `path`."""

    kind: FaultKind
    path: str
    remaining: int
    status: int = 503
    retry_after: float | None = None
    after_bytes: int = 0


class Faults:
    """Faults in the order in which they were asked for; each meets its number of requests."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Let the next `remaining` requests meet it."""
        with self._guard:
            self._faults.append(fault)

    def clear(self) -> None:
        """Forget all faults that nobody has met yet."""
        with self._guard:
            self._faults.clear()

    def meet(self, path: str) -> Fault | None:
        """The fault that a request meets, if any."""
        with self._guard:
            for fault in self._faults:
                if fault.path in path and fault.remaining > 0:
                    fault.remaining -= 1
                    return fault
        return None
