"""The SDK against the real services: what its own tests show with the fake holds here too."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import numpy as np
import pytest

from fedrec.local.stack import LocalStack
from fedrec.manifests import manifest_for
from fedrec.operator import Operator
from fedrec_protocol.manifest import RoundPolicy, TaskManifest
from fedrec_protocol.messages import NotSelectedReason, RoundKind
from fedrec_recipes.mf import MatrixFactorisation, MatrixFactorisationConfig
from fedrec_sdk import Contributed, History, NotSelected, Participant, Rejected, TaskEnded, TooLate, Transport
from fedrec_sdk.store.outbox import Outbox
from fedrec_sdk.transport import Streamed

ITEMS = 30
Join = Callable[..., Participant]


class PowerCut(BaseException):
    """The process is gone."""


def films(name: str, goal: int = 1, rounds: int = 2) -> TaskManifest:
    recipe = MatrixFactorisation(MatrixFactorisationConfig(number_of_items=ITEMS, dimension=4))
    return manifest_for(recipe, name=name, rounds=RoundPolicy(aggregation_goal=goal), round_budget=rounds)


@pytest.fixture
def join(stack: LocalStack, operator: Operator, tmp_path: Path) -> Iterator[Join]:
    """A person in the task of this manifest; the same name again is the same device with a new process."""
    with ExitStack() as devices:
        keys: dict[str, str] = {}

        def make(manifest: TaskManifest, name: str) -> Participant:
            if manifest.name not in keys:
                keys[manifest.name] = operator.create_enrolment_key(operator.create_task(manifest).task_id).secret
            participant = Participant(stack.aggregator_url, keys[manifest.name], tmp_path / name, seed=3)
            devices.callback(participant.close)
            return participant

        yield make


def contributed(participant: Participant) -> Contributed:
    """The next contribution that is counted, at the server's pace."""
    outcome = participant.run(until=lambda outcome: isinstance(outcome, Contributed))
    assert isinstance(outcome, Contributed)
    return outcome


def some_films(seed: int) -> History:
    return History(np.random.default_rng(seed).permutation(ITEMS)[:8])


def test_a_task_from_the_first_round_to_recommendations(operator: Operator, join: Join) -> None:
    manifest = films("whole-task")
    ada = join(manifest, "ada")
    ada.record_many(some_films(1))

    kinds = []
    while isinstance(outcome := ada.run(until=lambda outcome: isinstance(outcome, Contributed)), Contributed):
        kinds.append(outcome.kind)
    assert isinstance(outcome, TaskEnded)
    assert kinds == [RoundKind.TRAINING, RoundKind.TRAINING, RoundKind.EVALUATION]

    with pytest.raises(Rejected) as refused:
        ada.refresh_model()
    assert refused.value.slug == "unknown-alias"
    (task,) = [task for task in operator.tasks() if task.manifest.name == "whole-task"]
    assert task.current_version_id is not None
    operator.promote(manifest.model, "production", task.current_version_id)
    assert ada.refresh_model().version_id == task.current_version_id
    recommended = ada.recommend(5)
    assert len(recommended) == 5
    assert not {item for item, _ in recommended} & set(some_films(1).items.tolist())


@pytest.mark.parametrize("moment", ["put", "acknowledge"])
def test_a_crash_around_sending_is_counted_once(join: Join, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    manifest = films(f"crash-at-{moment}", goal=2)
    ada = join(manifest, "ada")
    ada.record_many(some_films(1))

    def crash(*_: object, **__: object) -> None:
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(Outbox, moment, crash)
        with pytest.raises(PowerCut):
            contributed(ada)
    ada.close()

    restarted = join(manifest, "ada")
    assert contributed(restarted).round_number == 1
    waiting = restarted.contribute()
    assert isinstance(waiting, NotSelected)
    assert waiting.reason is NotSelectedReason.ALREADY_REPORTED


def test_a_task_that_ends_during_training_makes_the_report_too_late(
    operator: Operator, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = films("cancelled", goal=2)
    ada = join(manifest, "ada")
    ada.record_many(some_films(1))
    put = Outbox.put

    def cancel_then_put(self: Outbox, report: object, **how: bool) -> None:
        (task,) = [task for task in operator.tasks() if task.manifest.name == "cancelled"]
        operator.steer(task.task_id, "cancel")
        put(self, report, **how)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(Outbox, "put", cancel_then_put)
    outcome = ada.run(until=lambda outcome: isinstance(outcome, TooLate))
    assert isinstance(outcome, TooLate)
    assert isinstance(ada.contribute(), TaskEnded)


def test_a_download_that_stopped_goes_on_where_it_stopped(
    operator: Operator, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = films("resumed")
    ada = join(manifest, "ada")
    ada.record_many(some_films(1))
    version = operator.version(first_version(operator, manifest.name))
    weights = operator.weights(version.version_id)
    ada.store.models.folder.mkdir()
    (ada.store.models.folder / f"{version.digest}.part").write_bytes(weights[:100])

    ranges = []
    stream = Transport.stream

    def watched(self: Transport, url: str, headers: Mapping[str, str]) -> AbstractContextManager[Streamed]:
        ranges.append(headers.get("Range"))
        return stream(self, url, headers)

    monkeypatch.setattr(Transport, "stream", watched)
    contributed(ada)
    assert ranges == ["bytes=100-"]


def first_version(operator: Operator, name: str) -> str:
    """Id of the task's first version, once the worker has published it."""
    for _ in range(2400):
        (task,) = [task for task in operator.tasks() if task.manifest.name == name]
        if task.current_version_id is not None:
            return task.current_version_id
        time.sleep(0.05)
    raise TimeoutError(f"task {name} has no first version after two minutes")
