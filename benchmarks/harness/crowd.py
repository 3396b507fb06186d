"""Participants by the thousand, from one process: they check in with long poll, report, and come back when told to."""

import asyncio
import heapq
import json
import multiprocessing
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from fedrec_protocol.codec import MEDIA_TYPE
from fedrec_protocol.digest import content_digest

_DELIBERATE = frozenset({429, 503})


@dataclass
class Seen:
    """What the participants were answered."""

    participants: int
    seconds: float = 0.0
    """How long they went on."""
    answers: Counter[str] = field(default_factory=Counter)
    """By kind: `assigned`, reasons why not, `report 201`, refusals by status."""
    errors: Counter[str] = field(default_factory=Counter)
    """What should not happen: other statuses, refusals without `Retry-After`, broken connections."""
    asked: list[int] = field(default_factory=list)
    """Check-ins that were sent, by participant."""
    answered: list[int] = field(default_factory=list)
    """Check-ins that were answered, by participant."""
    reported: list[int] = field(default_factory=list)
    """Reports that were counted, by participant."""
    late_seconds: list[float] = field(default_factory=list)
    """How much later than they had asked to wait check-ins were answered."""


def run_crowd(
    url: str, tokens: Sequence[str], body: bytes, *, in_flight: int, seconds: float, wait_seconds: int
) -> Seen:
    """Let participants take part for some time, so many of them at once, from a process of their own.

    Whoever was answered comes back after the time it was told; whoever is due longest goes first.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(_run, Crowd(url, tokens, body, wait_seconds), seconds, in_flight).result()


def _run(crowd: "Crowd", seconds: float, in_flight: int) -> Seen:
    return asyncio.run(crowd.go_on_for(seconds, in_flight))


class Crowd:
    """Participants of one task, each with a token; all of them report the same body."""

    def __init__(self, url: str, tokens: Sequence[str], body: bytes, wait_seconds: int) -> None:
        """`wait_seconds` is how long each asks the server to hold its check-in."""
        place = urlsplit(url)
        self._address = (place.hostname or "127.0.0.1", place.port or 80)
        self._tokens, self._body, self._wait = tokens, body, wait_seconds
        none = [0] * len(tokens)
        self._seen = Seen(len(tokens), asked=list(none), answered=list(none), reported=list(none))
        self._due = [(0.0, who) for who in range(len(tokens))]

    async def go_on_for(self, seconds: float, in_flight: int) -> Seen:
        """Take part, so many at once; whoever waits at the end is still waited for."""
        started = time.monotonic()
        await asyncio.gather(*(self._take_turns(started + seconds) for _ in range(in_flight)))
        self._seen.seconds = time.monotonic() - started
        return self._seen

    async def _take_turns(self, ends: float) -> None:
        while (now := time.monotonic()) < ends:
            due, who = heapq.heappop(self._due)
            if due > now:
                heapq.heappush(self._due, (due, who))
                await asyncio.sleep(min(due - now, 0.1))
                continue
            try:
                pause = await self._one_turn(who)
            except (OSError, asyncio.IncompleteReadError) as error:
                self._seen.errors[type(error).__name__] += 1
                pause = 1.0
            heapq.heappush(self._due, (time.monotonic() + pause, who))

    async def _one_turn(self, who: int) -> float:
        """One check-in, and a report where there is work; returns when to come back."""
        reader, writer = await asyncio.open_connection(*self._address)
        try:
            return await self._check_in(who, reader, writer)
        finally:
            writer.close()

    async def _check_in(self, who: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float:
        asked = time.monotonic()
        self._seen.asked[who] += 1
        prefer = f"Prefer: wait={self._wait}\r\nContent-Type: application/json\r\n"
        writer.write(self._request("/v1/check-ins", who, prefer, b"{}"))
        status, pause, answer = await _answer(reader)
        if status != 200:
            return self._refused("check-in", status, pause)
        self._seen.answered[who] += 1
        if answer["outcome"] != "assigned":
            self._seen.late_seconds.append(max(0.0, time.monotonic() - asked - self._wait))
            self._seen.answers[answer["reason"]] += 1
            return pause or 1.0
        self._seen.answers["assigned"] += 1
        path = f"/v1/assignments/{answer['assignment']['assignment_id']}/report"
        fields = f"Content-Type: {MEDIA_TYPE}\r\nContent-Digest: {content_digest(self._body)}\r\n"
        writer.write(self._request(path, who, fields, self._body))
        status, pause, _ = await _answer(reader)
        if status not in {200, 201}:
            return self._refused("report", status, pause)
        self._seen.answers["report counted"] += 1
        self._seen.reported[who] += 1
        return 0.0

    def _refused(self, what: str, status: int, pause: float | None) -> float:
        is_deliberate = status in _DELIBERATE and pause is not None
        (self._seen.answers if is_deliberate else self._seen.errors)[f"{what} {status}"] += 1
        return pause or 1.0

    def _request(self, path: str, who: int, fields: str, body: bytes) -> bytes:
        credential = f"Authorization: Bearer {self._tokens[who]}\r\n"
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\n{credential}{fields}Content-Length: {len(body)}\r\n\r\n"
        return head.encode() + body


async def _answer(reader: asyncio.StreamReader) -> tuple[int, float | None, dict[str, Any]]:
    """Status, `Retry-After` in seconds, and body of one answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    content = json.loads(await reader.readexactly(int(fields["content-length"])))
    pause = fields.get("retry-after")
    return int(head[0].split()[1]), None if pause is None else float(pause), content
