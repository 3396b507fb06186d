"""A task that a numpy recipe trains, an aggregator that runs it, and people who take part."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from fedrec_protocol.manifest import ReportFormat, RoundPolicy, StopCriteria, TaskManifest
from fedrec_protocol.tensors import Tensors
from fedrec_sdk import Participant, Transport
from fedrec_sdk.backoff import Backoff
from fedrec_sdk.testing import FakeAggregator
from tests.unit.sdk.popularity import ITEMS, Popularity, history_of

StartTask = Callable[..., FakeAggregator]
Join = Callable[..., Participant]


def popularity_manifest(**changed: Any) -> TaskManifest:
    """One report closes a round; three rounds; HR@2 and NDCG@2 are measured."""
    recipe = Popularity.of(ITEMS)
    fields: dict[str, Any] = {
        "name": "films",
        "model": "films",
        "recipe": recipe.choice,
        "shared": recipe.shared,
        "private": recipe.private,
        "report": ReportFormat(maximum_norm=10.0),
        "metrics": ("hr@2", "ndcg@2"),
        "rounds": RoundPolicy(aggregation_goal=1),
        "stop": StopCriteria(round_budget=3),
    }
    return TaskManifest(**(fields | changed))


@pytest.fixture
def start_task() -> Iterator[StartTask]:
    """Starts an aggregator whose manifest differs from the usual one in the given fields."""
    with ExitStack() as running:

        def start(weights: Tensors | None = None, **changed: Any) -> FakeAggregator:
            return running.enter_context(FakeAggregator(popularity_manifest(**changed), weights))

        yield start


@pytest.fixture
def aggregator(start_task: StartTask) -> FakeAggregator:
    return start_task()


@pytest.fixture
def naps() -> list[float]:
    """What the transport would have slept."""
    return []


@pytest.fixture
def transport(naps: list[float]) -> Iterator[Transport]:
    """Retries at once."""
    with Transport(backoff=Backoff(base=0.0), sleep=naps.append, timeout=60.0) as made:
        yield made


@pytest.fixture
def join(transport: Transport, tmp_path: Path) -> Iterator[Join]:
    """A person who takes part; the same name again is the same device with a new process."""
    with ExitStack() as joined:
        running: dict[str, Participant] = {}

        def make(aggregator: FakeAggregator, name: str, items: Sequence[int] = (), **options: Any) -> Participant:
            arguments = {"recipe": Popularity.of(ITEMS), "seed": 7, "transport": transport, **options}
            participant = Participant(aggregator.url, aggregator.enrolment_key, tmp_path / name, **arguments)
            if name in running:
                running[name].close()
            running[name] = participant
            joined.callback(participant.close)
            participant.record_many(history_of(*items))
            return participant

        yield make


@pytest.fixture
def ada(aggregator: FakeAggregator, join: Join) -> Participant:
    """Somebody who has watched five films."""
    return join(aggregator, "ada", (0, 1, 2, 3, 1))
