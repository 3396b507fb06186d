"""Stopping a process at one statement, from outside: the services know nothing of it.

A trigger in the test's own Postgres waits for an advisory lock at a step's statement, or, deferred, inside its COMMIT.
Whoever holds that lock decides when the step goes on. Until then it can be killed, frozen or cut off exactly there:

- killed at the statement, nothing was committed;
- killed inside COMMIT, Postgres goes on and commits, and nobody is told;
- with its connection ended inside COMMIT, nothing was committed, and the process lives to try again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

POLL_SECONDS = 0.01

_FUNCTION = """
CREATE SCHEMA soak;
CREATE FUNCTION soak.wait_at_breakpoint() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Taken and given back: whoever closes the gate later must not wait for the end of this transaction.
    PERFORM pg_advisory_lock_shared(hashtext(TG_ARGV[0]));
    PERFORM pg_advisory_unlock_shared(hashtext(TG_ARGV[0]));
    -- A service that lets Postgres end its idle transactions does so sooner here; one that does not, never.
    IF current_setting('idle_in_transaction_session_timeout') <> '0' THEN
        PERFORM set_config('idle_in_transaction_session_timeout', '1s', true);
    END IF;
    RETURN NULL;
END $$
"""

_WAITING = """
SELECT a.pid, a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND NOT l.granted AND l.mode = 'ShareLock'
  AND l.objsubid = 1 AND (l.classid::bigint << 32 | l.objid::bigint) = hashtext(:name)::bigint
ORDER BY a.query_start LIMIT 1
"""


class Step(StrEnum):
    """A statement of the pipeline: intake, flush, secure phases, close, publish, and what goes on around them."""

    ENROL = "AFTER INSERT ON aggregator.clients"
    ERASE_CLIENT = "AFTER DELETE ON aggregator.clients"
    ASSIGN = "AFTER INSERT ON aggregator.assignments"
    FLUSH_OBJECT = "AFTER INSERT ON aggregator.objects"
    FLUSH_RECEIPTS = "AFTER INSERT ON aggregator.receipts"
    FLUSH_POINTER = "AFTER INSERT OR UPDATE ON aggregator.partial_sums"
    CLOSE = "AFTER UPDATE ON aggregator.rounds WHEN OLD.state <> NEW.state AND NEW.state = 'aggregating'"
    ABANDON = "AFTER UPDATE ON aggregator.rounds WHEN OLD.state <> NEW.state AND NEW.state = 'abandoned'"
    LEASE = "AFTER INSERT ON aggregator.leases"
    STORE_SUM = "AFTER UPDATE ON aggregator.rounds WHEN OLD.report_count IS NULL AND NEW.report_count IS NOT NULL"
    ERASE_SUMS = "AFTER DELETE ON aggregator.partial_sums"
    ERASE_KEY = "AFTER UPDATE ON aggregator.rounds WHEN OLD.wrapped_key IS NOT NULL AND NEW.wrapped_key IS NULL"
    UPLOAD = "AFTER INSERT ON registry.weights"
    VERSION = "AFTER INSERT ON registry.versions"
    PUBLISH = "AFTER UPDATE ON aggregator.rounds WHEN OLD.state <> NEW.state AND NEW.state = 'published'"
    MEASURE = "AFTER INSERT OR UPDATE ON registry.version_metrics"
    CHARGE = "AFTER INSERT ON aggregator.privacy_charges"
    ADVERTISE = "AFTER INSERT ON aggregator.secure_participants"
    SHARE = "AFTER UPDATE ON aggregator.secure_participants WHEN OLD.shares IS NULL AND NEW.shares IS NOT NULL"
    CONFIRM = (
        "AFTER UPDATE ON aggregator.secure_participants "
        "WHEN OLD.acknowledgement IS NULL AND NEW.acknowledgement IS NOT NULL"
    )
    REVEAL = "AFTER UPDATE ON aggregator.secure_participants WHEN OLD.reveal IS NULL AND NEW.reveal IS NOT NULL"
    END_PHASE = "AFTER UPDATE ON aggregator.secure_rounds WHEN OLD.phase <> NEW.phase"
    OFFER_SUM = "AFTER INSERT ON aggregator.encrypted_sums"
    DECRYPT = "AFTER INSERT ON aggregator.decryptions"
    SETTLE = "AFTER UPDATE ON aggregator.encrypted_sums WHEN OLD.agreed IS NULL AND NEW.agreed IS NOT NULL"
    REMEMBER_NOISE = "AFTER INSERT ON aggregator.noise_vectors"
    OPEN = "AFTER INSERT ON aggregator.rounds"
    STEER = "AFTER UPDATE ON aggregator.tasks WHEN OLD.state <> NEW.state"


class Moment(StrEnum):
    """Where in its transaction a step is stopped."""

    STATEMENT = "statement"
    COMMIT = "commit"


@dataclass(frozen=True)
class Breakpoint:
    """A place at which a process can be stopped."""

    step: Step
    moment: Moment

    @property
    def name(self) -> str:
        """The lock's, the trigger's and the report's name."""
        return f"{self.step.name.lower()}_{self.moment}"

    @property
    def trigger(self) -> str:
        """The statement that makes it."""
        event, _, condition = self.step.value.partition(" WHEN ")
        when = f"WHEN ({condition})" if condition else ""
        deferral = "INITIALLY DEFERRED" if self.moment is Moment.COMMIT else "INITIALLY IMMEDIATE"
        return (
            f"CREATE CONSTRAINT TRIGGER {self.name} {event} DEFERRABLE {deferral} FOR EACH ROW {when} "
            f"EXECUTE FUNCTION soak.wait_at_breakpoint('{self.name}')"
        )


BREAKPOINTS = tuple(Breakpoint(step, moment) for step in Step for moment in Moment)


@dataclass(frozen=True)
class Stopped:
    """A connection that waits at a breakpoint.

    Attributes:
        pid: of its Postgres process.
        process: the name of the process at its other end.
    """

    pid: int
    process: str


def install(engine: Engine) -> None:
    """Make all breakpoints; they are open."""
    with engine.begin() as connection:
        connection.execute(text(_FUNCTION))
        for breakpoint_ in BREAKPOINTS:
            connection.execute(text(breakpoint_.trigger))


@contextlib.contextmanager
def closed(engine: Engine, breakpoint_: Breakpoint) -> Iterator[Connection]:
    """Nobody gets past the breakpoint within the block."""
    # Held by the connection: should Postgres be killed within the block, the breakpoint is open again.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SELECT pg_advisory_lock(hashtext(:name))"), {"name": breakpoint_.name})
        try:
            yield connection
        finally:
            with contextlib.suppress(DBAPIError):
                connection.execute(text("SELECT pg_advisory_unlock_all()"))


def first_to_arrive(connection: Connection, breakpoint_: Breakpoint, *, patience_seconds: float) -> Stopped | None:
    """The first that waits at a closed breakpoint; None when nobody comes."""
    deadline = time.monotonic() + patience_seconds
    while time.monotonic() < deadline:
        row = connection.execute(text(_WAITING), {"name": breakpoint_.name}).one_or_none()
        if row is not None:
            return Stopped(*row)
        time.sleep(POLL_SECONDS)
    return None


def disconnect(connection: Connection, stopped: Stopped) -> None:
    """End a connection where it stands: its transaction never commits."""
    connection.execute(text("SELECT pg_terminate_backend(:pid, 2000)"), {"pid": stopped.pid})
