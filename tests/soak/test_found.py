"""What the soak found, each by name."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from fedrec.local.stack import local_stack
from tests.integration.aggregator.fleet import PATIENCE_SECONDS, Fleet, until
from tests.integration.aggregator.powers import counted, power_of_two, powers_task
from tests.soak import breakpoints
from tests.soak.breakpoints import Breakpoint, Moment, Step


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    environment = {"FEDREC_AGGREGATOR_LOG_LEVEL": "error"}
    with local_stack(aggregators=2, workers=1, environment=environment, fsync=False) as stack:
        fleet = Fleet(stack)
        breakpoints.install(fleet.engine)
        yield fleet
        fleet.close()


def test_a_process_that_is_frozen_while_it_counts_a_report_does_not_hold_up_the_round(fleet: Fleet) -> None:
    task = fleet.task(**powers_task(goal=2, over_selection_factor=2.0, deadline_seconds=600))
    [slow, *others] = task.devices(3)
    work = [device.assigned()["assignment_id"] for device in (slow, *others)]
    frozen, url = fleet.process("aggregator-0"), fleet.process("aggregator-1").url or ""
    with ThreadPoolExecutor(1) as pool:
        with breakpoints.closed(fleet.engine, Breakpoint(Step.FLUSH_RECEIPTS, Moment.STATEMENT)) as connection:
            late = pool.submit(slow.report, work[0], power_of_two(0), url=frozen.url or "")
            stopped = breakpoints.first_to_arrive(
                connection, Breakpoint(Step.FLUSH_RECEIPTS, Moment.STATEMENT), patience_seconds=PATIENCE_SECONDS
            )
            assert stopped is not None
            assert stopped.process == frozen.name
            frozen.suspend()
        try:
            for exponent, device in enumerate(others, start=1):
                assert device.report(work[exponent], power_of_two(exponent), url=url).status_code == 201
            published = "SELECT rounds_published FROM aggregator.tasks WHERE id = :id"
            until(lambda: fleet.value(published, id=task.id) == 1)
        finally:
            frozen.resume()
        assert late.result().status_code in {409, 503}
    assert counted(task) == {1, 2}
    assert slow.report(work[0], power_of_two(0)).json()["slug"] == "round-closed"
