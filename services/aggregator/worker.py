"""The worker: opens, closes, aggregates and publishes what the database says is due.

Run it with `python -m services.aggregator.worker`. Any number of workers run side by side: leases keep two of
them from the same round.
"""

import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

import structlog

from services.aggregator.domain.errors import Unavailable, UnknownRound, UnknownTask
from services.aggregator.domain.retention import Retention
from services.aggregator.pipeline.close import close_if_due
from services.aggregator.pipeline.context import Context
from services.aggregator.pipeline.encrypted.settle import settle_if_due
from services.aggregator.pipeline.finish_round import finish_round
from services.aggregator.pipeline.first_version import first_version
from services.aggregator.pipeline.forget import forget
from services.aggregator.pipeline.forget_clients import forget_unseen
from services.aggregator.pipeline.held_round import hold_round
from services.aggregator.pipeline.keep_bases import keep_bases
from services.aggregator.pipeline.open_round import open_round
from services.aggregator.pipeline.restored import hold_restored
from services.aggregator.pipeline.secure.advance import advance_if_due
from services.aggregator.settings import RetentionSettings, Settings
from services.aggregator.storage import encrypted_sums, leases, notifications, rounds, secure_rounds, tasks
from services.aggregator.stores import make_context
from services.kit import logs
from services.kit.clock import SystemClock
from services.kit.db import DatabaseUnavailable
from services.kit.ids import new_id
from services.kit.listener import Listener
from services.kit.objects import ObjectsUnavailable

log = structlog.get_logger("services.aggregator.worker")  # also where it runs as the program

LEASE = timedelta(seconds=30)
RETRY = timedelta(seconds=2)
"""Pause before a round that could not be finished is tried again, by whichever worker."""
SWEEP_SECONDS = 600.0
CLIENTS_SWEPT = timedelta(days=1)
"""Clients are looked through so often, by one worker: with no index on when they were seen, that reads them all."""


class Worker:
    """Does what is due, again and again, until it is told to stop."""

    def __init__(
        self,
        context: Context,
        poll_seconds: float,
        name: str,
        *,
        retry: timedelta = RETRY,
        retention: Retention = Retention(),  # noqa: B008 - frozen
    ) -> None:
        self._context = context
        self._poll_seconds = poll_seconds
        self._name = name
        self._retry = retry
        self._retention = retention
        self._hint = threading.Event()
        self._stopping = threading.Event()

    def run(self) -> None:
        """Work until `stop`; whatever fails is logged, and tried again later."""
        next_sweep = time.monotonic()
        while not self._stopping.is_set():
            self._attempt("worker", "all", self.run_once)
            if time.monotonic() >= next_sweep:
                self.sweep()
                next_sweep = time.monotonic() + SWEEP_SECONDS * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
            # Jitter keeps many workers from asking at the same moment.
            self._hint.wait(self._poll_seconds * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
            self._hint.clear()

    def stop(self) -> None:
        """Finish the step at hand, and end."""
        self._stopping.set()
        self._hint.set()

    def wake(self) -> None:
        """There may be work now."""
        self._hint.set()

    def run_once(self) -> None:
        """Do everything that is due now."""
        context = self._context
        self._attempt("hold restored", "all", partial(hold_restored, context))
        for task_id in context.db.run("find_new_tasks", tasks.without_version):
            self._attempt("first version", task_id, partial(first_version, context, task_id))
        for round_id in context.db.run("find_collecting_rounds", rounds.collecting):
            self._attempt("close", round_id, partial(close_if_due, context, round_id))
        for round_id in context.db.run("find_secure_rounds", secure_rounds.under_way):
            self._attempt("secure phase", round_id, partial(advance_if_due, context, round_id))
        for round_id in context.db.run("find_encrypted_sums", encrypted_sums.under_way):
            self._attempt("decryption", round_id, partial(settle_if_due, context, round_id))
        for round_id in context.db.run("find_closed_rounds", rounds.aggregating):
            self._attempt("finish", round_id, partial(self._finish, round_id))
        ready = context.db.run("find_idle_tasks", lambda tx: rounds.tasks_without_round(tx, context.now()))
        for task_id in ready:
            self._attempt("open round", task_id, partial(open_round, context, task_id))

    def sweep(self) -> None:
        """Keep what tasks need, delete what is kept no longer, and erase the bytes of deleted objects."""
        context = self._context
        self._attempt("keep bases", "all", partial(keep_bases, context))
        self._attempt("forget", "all", lambda: log.info("forgot", assignments=forget(context, self._retention)))
        if self._retention.clients is not None:
            self._attempt("forget clients", "all", partial(self._forget_clients, self._retention.clients))
        self._attempt("erase objects", "all", lambda: log.info("erased", objects=context.home.sweep(context.db)))

    def _forget_clients(self, unseen: timedelta) -> None:
        turn = ("forgetting clients", self._name, CLIENTS_SWEPT)
        if self._context.db.run("acquire_lease", lambda tx: leases.acquire(tx, *turn)) is not None:
            log.info("forgot clients", clients=forget_unseen(self._context, unseen))

    def _finish(self, round_id: str) -> None:
        db = self._context.db
        lease = db.run("acquire_lease", lambda tx: hold_round(tx, round_id, self._name, LEASE))
        if lease is None:
            return
        pause = self._retry
        try:
            with self._kept(lease):
                finish_round(self._context, round_id, lease)
            pause = timedelta(0)
        except leases.FencedOff:
            log.warning("fenced off", round_id=round_id)
        finally:
            # Whatever failed, such as a registry that is away, is not asked for again at once.
            db.run("release_lease", lambda tx: leases.release(tx, lease, pause))

    @contextmanager
    def _kept(self, lease: leases.Lease) -> Iterator[None]:
        """Renew the lease while the block runs: solving a large model may take longer than a lease lasts."""
        done = threading.Event()

        def renew() -> None:
            while not done.wait(LEASE.total_seconds() / 3):
                self._attempt("renew lease", lease.name, self._renewal(lease))

        keeper = threading.Thread(target=renew, name="lease keeper", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            done.set()
            keeper.join()

    def _renewal(self, lease: leases.Lease) -> Callable[[], bool]:
        return lambda: self._context.db.run("renew_lease", lambda tx: leases.renew(tx, lease, LEASE))

    def _attempt(self, what: str, subject: str, step: Callable[[], object]) -> None:
        """One failing task or round must not stop the others."""
        try:
            step()
        except (UnknownTask, UnknownRound):
            log.info("deleted since it was found", step=what, subject=subject)
        except (Unavailable, DatabaseUnavailable, ObjectsUnavailable) as error:
            log.warning("step put off", step=what, subject=subject, error=str(error))
        except Exception as error:
            log.error("step failed; it will be tried again", step=what, subject=subject, exc_info=error)


def _retention(days: RetentionSettings) -> Retention:
    def life(days: float | None) -> timedelta | None:
        return None if days is None else timedelta(days=days)

    unreported, receipts = timedelta(days=days.unreported_days), timedelta(days=days.receipt_days)
    return Retention(unreported, receipts, audit=life(days.audit_days), clients=life(days.client_days))


def main() -> None:
    """Run a worker until SIGTERM or SIGINT."""
    settings = Settings.read()
    logs.configure(settings.log_level)
    context = make_context(settings, SystemClock())
    name = f"{socket.gethostname()}.{new_id('wrk')}"
    worker = Worker(context, settings.worker_poll_seconds, name, retention=_retention(settings.retention))
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: worker.stop())
    listener = Listener(settings.database_url, (notifications.WORK,), lambda _: worker.wake())
    listener.start()
    try:
        worker.run()
    finally:
        listener.stop()
        context.registry.close()
        context.db.dispose()


if __name__ == "__main__":
    main()
