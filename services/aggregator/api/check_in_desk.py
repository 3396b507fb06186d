"""Check-ins with long poll: many participants ask, one transaction answers."""

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from fedrec_protocol.messages import Assigned, NotSelected, NotSelectedReason
from services.aggregator.api.waiting_room import WaitingRoom
from services.aggregator.domain.recent_participants import RecentParticipants
from services.aggregator.pipeline.assign import Answer, CheckingIn, assign
from services.aggregator.pipeline.context import Context
from services.aggregator.pipeline.share_demand import share_demand
from services.kit.batcher import Batcher
from services.kit.ids import new_id

_WORTH_WAITING = frozenset(
    {
        NotSelectedReason.NO_OPEN_ROUND,
        NotSelectedReason.COHORT_FULL,
        NotSelectedReason.ALREADY_REPORTED,
        NotSelectedReason.TOO_SOON,
        NotSelectedReason.TOO_LATE,
    }
)
_BATCH = 500
_NEVER = datetime.min.replace(tzinfo=UTC)
_SHARED_EVERY = timedelta(seconds=5)
"""How often a process that is asked tells the others of it."""
_POLL_SECONDS = 5.0
"""How often a waiting participant is asked for again when no hint comes: hints may be lost."""


class CheckInDesk:
    """Holds check-ins until there is work, as long as their senders wish to wait."""

    def __init__(self, context: Context, room: WaitingRoom) -> None:
        self._context = context
        self._room = room
        self._batchers: dict[str, Batcher[CheckingIn, Assigned | NotSelected]] = {}
        self._recent: dict[str, RecentParticipants] = {}
        self._shared_at: dict[str, datetime] = {}
        self._process_id = new_id("prc")

    async def check_in(self, task_id: str, who: CheckingIn, wait_seconds: float) -> Assigned | NotSelected:
        """An assignment, or why there is none after waiting."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + wait_seconds
        with self._room.place(task_id, who.client_id) as place:
            while True:
                place.look_up()  # before asking: a round may open while the answer is made
                answer = await self._batcher(task_id).submit(who)
                left = ends - loop.time()
                if isinstance(answer, Assigned) or answer.reason not in _WORTH_WAITING or left <= 0:
                    return answer
                if place.is_given_up:
                    return answer
                pause = min(left, _POLL_SECONDS * random.uniform(0.75, 1.25))  # noqa: S311 - jitter
                if not await place.wait(pause) and pause == left:
                    return answer  # a few seconds old; asking once more, with all whose time ends now, makes it late

    def wake(self, task_id: str | None) -> None:
        """Ask again for those who wait for a task, or for any."""
        self._room.wake(task_id)

    def leave(self) -> None:
        """Answer all who wait: this process stops, and another one will serve them."""
        self._room.close()

    def _batcher(self, task_id: str) -> Batcher[CheckingIn, Assigned | NotSelected]:
        if task_id not in self._batchers:
            self._batchers[task_id] = Batcher(self._assign(task_id), maximum=_BATCH)
        return self._batchers[task_id]

    def _assign(self, task_id: str) -> Callable[[list[CheckingIn]], Sequence[Answer]]:
        recent = self._recent.setdefault(task_id, RecentParticipants())

        def run(asking: list[CheckingIn]) -> Sequence[Answer]:
            now = self._context.now()
            recent.add((who.client_id for who in asking), now)
            if now - self._shared_at.get(task_id, _NEVER) >= _SHARED_EVERY:
                share_demand(self._context, task_id, self._process_id, recent)
                self._shared_at[task_id] = now
            return assign(self._context, task_id, asking, recent.estimate(now))

        return run
