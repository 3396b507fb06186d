"""A cohort too large for everybody to exchange keys with everybody: the graph is a ring, and the sum stays exact."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedrec_protocol.secagg.descriptor import COMPLETE_GRAPH_LIMIT
from fedrec_sdk.transport import Transport
from services.aggregator.storage import secure_rounds
from tests.integration.aggregator.cohort import Cohort, integer_sum, published_sum, secure_task
from tests.integration.aggregator.world import World

PEOPLE = COMPLETE_GRAPH_LIMIT + 1
GONE = frozenset(range(0, PEOPLE, 10))


@pytest.mark.slow
def test_the_smallest_ring_publishes_the_exact_sum_when_a_tenth_leaves_after_sharing(
    world: World, tmp_path: Path
) -> None:
    connections = Transport()
    cohort = Cohort(secure_task(world, PEOPLE), tmp_path, PEOPLE, transport=connections)
    cohort.wait(phases=2)
    with world.context.db.engine.connect() as tx:
        stored = secure_rounds.find(tx, cohort.task.round["round_id"])
    assert stored is not None
    assert stored.secure.descriptor.ring is not None
    assert stored.secure.descriptor.ring.degree < PEOPLE - 1
    cohort.wait(phases=1, without=GONE)
    world.advance(61)  # those who left are waited for
    world.work()
    cohort.wait(phases=1, without=GONE)
    cohort.finish(without=GONE)
    staying = frozenset(range(PEOPLE)) - GONE
    assert published_sum(cohort.task, len(staying)) == integer_sum(staying)
    cohort.close()
    connections.close()
