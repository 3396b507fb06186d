"""Two transactions at the same moment, one made to wait for the other on purpose."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text

WAITERS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@contextmanager
def meanwhile(engine: Engine, step: Callable[[], object]) -> Iterator[Connection]:
    """A transaction during which `step` starts in another thread, and is waiting for us when we commit."""
    thread = threading.Thread(target=step)
    with engine.begin() as tx:
        yield tx
        thread.start()
        with engine.connect() as other:
            while thread.is_alive() and not other.execute(text(WAITERS)).scalar():
                other.rollback()
                time.sleep(0.01)
    thread.join()
