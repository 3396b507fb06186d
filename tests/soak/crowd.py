"""Devices that take part all the time, each in a thread of its own, and none of them well."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from functools import partial

import httpx

from tests.integration.aggregator.book import Book, Work
from tests.integration.aggregator.deployment import Deployment, Device

PAUSE_SECONDS = 0.1
LATER = frozenset({"unavailable", "overloaded", "rate-limited", "credential-expired"})
"""Slugs that only mean: try again, with a new token perhaps."""
MEMORY = 12
"""Assignments that a device looks back on."""


class Conduct(StrEnum):
    """What a device does with its assignment."""

    WELL = "well"
    TWICE = "twice"
    TWO_BODIES_AT_ONCE = "two bodies at once"
    ONE_BODY_AT_TWO_PROCESSES = "one body at two processes"
    LOSING_THE_REQUEST = "losing the request"
    LOSING_THE_ANSWER = "losing the answer"
    LATER = "later"  # after others, or after the round


class Person(threading.Thread):
    """Takes part until it is told to stop.

    Attributes:
        failure: what it met that may not happen.
    """

    def __init__(self, seed: str) -> None:
        super().__init__(name=f"{type(self).__name__} {seed}", daemon=True)
        self.failure: BaseException | None = None
        self.random = random.Random(seed)
        self.stopping = threading.Event()

    def run(self) -> None:
        try:
            self.live()
        except BaseException as failure:
            self.failure = failure

    def live(self) -> None:
        """Take part."""
        raise NotImplementedError

    def pause(self, seconds: float) -> None:
        """Wait for up to so long."""
        self.stopping.wait(self.random.uniform(0, seconds))


class Member(Person):
    """One device for each task."""

    def __init__(self, world: Deployment, books: Sequence[Book], seed: str) -> None:
        super().__init__(seed)
        self._world = world
        self._books = list(books)
        self._devices: dict[str, Device] = {}

    def live(self) -> None:
        while not self.stopping.is_set():
            # The process may not be there, or be killed before it answers.
            with contextlib.suppress(httpx.TransportError, OSError):
                self._take_part(self.random.choice(self._books))
            self.pause(PAUSE_SECONDS)

    def _take_part(self, book: Book) -> None:
        device = self._devices.get(book.task.id)
        if device is None:
            self._enrol(book)
            return
        past = [work for work in book.work.values() if work.device is device][-MEMORY:]
        if past and self.random.random() < 0.3:
            self._look_back(book, self.random.choice(past))
            return
        answer = device.send("POST", "/v1/check-ins", url=self._url(), json={})
        if answer.status_code != 200:
            self._excuse(device, answer)
            return
        work = book.assigned(device, answer.json())
        if work is not None:
            self._report(book, work, self.random.choice(list(Conduct)))

    def _enrol(self, book: Book) -> None:
        device = Device(self._world)
        answer = device.enrol(book.task.enrolment_key, url=self._url())
        if answer.status_code == 201:
            self._devices[book.task.id] = device
        else:
            self._excuse(device, answer)

    def _look_back(self, book: Book, work: Work) -> None:
        """An old body again, whatever became of it, or another one."""
        body = self.random.choice(work.bodies) if work.bodies else book.new_body(work)
        if body is not None:
            self._send(book, work, body)

    def _report(self, book: Book, work: Work, conduct: Conduct) -> None:
        body = book.new_body(work)
        if body is None:
            return
        match conduct:
            case Conduct.WELL:
                self._send(book, work, body)
            case Conduct.TWICE:
                self._send(book, work, body)
                self._send(book, work, body)
            case Conduct.TWO_BODIES_AT_ONCE:
                self._at_once(book, work, [body, book.new_body(work) or body])
            case Conduct.ONE_BODY_AT_TWO_PROCESSES:
                self._at_once(book, work, [body, body])
            case Conduct.LOSING_THE_REQUEST:
                work.device.report_and_leave(work.id, body, self.random.randrange(len(body)), url=self._url())
            case Conduct.LOSING_THE_ANSWER:
                work.device.report_and_leave(work.id, body, len(body), url=self._url())
            case Conduct.LATER:
                pass  # until somebody looks back

    def _at_once(self, book: Book, work: Work, bodies: list[bytes]) -> None:
        urls = self.random.choices(self._world.aggregator_urls, k=len(bodies))
        with ThreadPoolExecutor(len(bodies)) as pool:
            calls = [partial(book.send, work, body, url=url) for body, url in zip(bodies, urls, strict=True)]
            answers = [pool.submit(call) for call in calls]
        for answer in answers:
            answer.result()

    def _send(self, book: Book, work: Work, body: bytes) -> None:
        answer = book.send(work, body, url=self._url())
        if answer.status_code == 401:
            self._excuse(work.device, answer)

    def _excuse(self, device: Device, answer: httpx.Response) -> None:
        """Refusals that are nobody's fault; every other one is a failure."""
        assert answer.json()["slug"] in LATER, f"{answer.status_code} {answer.text}"
        if answer.status_code == 401 and device.client_id:
            renewed = device.renew(url=self._url())
            assert renewed.status_code in {201, 503}, renewed.text

    def _url(self) -> str:
        return self.random.choice(self._world.aggregator_urls)


class Crowd:
    """Some people side by side."""

    def __init__(self, people: Sequence[Person]) -> None:
        self._people = people
        for person in people:
            person.start()

    def require_well(self) -> None:
        """Raise what somebody met that may not happen."""
        for person in self._people:
            if person.failure is not None:
                raise person.failure

    def stop(self) -> None:
        for person in self._people:
            person.stopping.set()
        for person in self._people:
            person.join()
        self.require_well()
