"""Model downloads: once, resumable, checked, few kept."""

import hashlib
import os
from pathlib import Path

import pytest

from fedrec_protocol.manifest import StopCriteria
from fedrec_protocol.messages import ModelReference
from fedrec_sdk import Contributed, LocalStore, ModelCache, Participant, Rejected, Unavailable
from fedrec_sdk.testing import FakeAggregator
from fedrec_sdk.testing.fake_registry import FakeVersion
from tests.unit.sdk.conftest import Join, StartTask


def downloads(aggregator: FakeAggregator) -> list[tuple[str | None, str | None]]:
    """Range and If-Range of each request for weights."""
    return [
        (request.headers.get("range"), request.headers.get("if-range"))
        for request in aggregator.requests
        if request.path.endswith("/weights")
    ]


def test_a_cut_download_goes_on_where_it_stopped(aggregator: FakeAggregator, ada: Participant) -> None:
    aggregator.cut_downloads(after_bytes=50)

    assert isinstance(ada.contribute(), Contributed)

    etag = f'"{aggregator.versions[0].digest}"'
    assert downloads(aggregator) == [(None, None), ("bytes=50-", etag)]


def test_a_new_process_goes_on_where_the_old_one_stopped(aggregator: FakeAggregator, join: Join) -> None:
    ada = join(aggregator, "ada", (0, 1, 2))
    aggregator.cut_downloads(after_bytes=40)
    aggregator.refuse(10, path="/weights")
    with pytest.raises(Unavailable):
        ada.contribute()
    aggregator.heal()

    assert isinstance(join(aggregator, "ada").contribute(), Contributed)
    assert downloads(aggregator)[-1][0] == "bytes=40-"


def test_a_bad_network_gets_there_as_long_as_something_arrives(aggregator: FakeAggregator, ada: Participant) -> None:
    aggregator.cut_downloads(8, after_bytes=10)  # more cuts than attempts
    assert isinstance(ada.contribute(), Contributed)
    assert [requested for requested, _ in downloads(aggregator)][:3] == [None, "bytes=10-", "bytes=20-"]


def test_a_download_that_was_damaged_before_the_cut_starts_over(aggregator: FakeAggregator, ada: Participant) -> None:
    part = ada.store.models.folder / f"{aggregator.versions[0].digest}.part"
    part.parent.mkdir()
    part.write_bytes(b"not the first twenty")

    assert isinstance(ada.contribute(), Contributed)
    assert [requested for requested, _ in downloads(aggregator)] == ["bytes=20-", None]


def test_a_part_longer_than_the_file_starts_over(aggregator: FakeAggregator, ada: Participant) -> None:
    part = ada.store.models.folder / f"{aggregator.versions[0].digest}.part"
    part.parent.mkdir()
    part.write_bytes(bytes(10_000))
    assert isinstance(ada.contribute(), Contributed)


def test_weights_that_the_disk_does_not_take_are_unavailable(aggregator: FakeAggregator, ada: Participant) -> None:
    folder = ada.store.models.folder
    folder.mkdir()
    (folder / f"{aggregator.versions[0].digest}.part").symlink_to("/dev/full")
    with pytest.raises(Unavailable, match="cannot be kept"):
        ada.contribute()
    (folder / f"{aggregator.versions[0].digest}.part").unlink()
    assert isinstance(ada.contribute(), Contributed)


def test_weights_with_another_digest_are_refused_and_not_kept(aggregator: FakeAggregator, ada: Participant) -> None:
    aggregator.corrupt_downloads()
    with pytest.raises(Rejected) as refused:
        ada.contribute()
    assert refused.value.slug == "digest-mismatch"
    assert list(ada.store.models.folder.iterdir()) == []
    assert isinstance(ada.contribute(), Contributed)


@pytest.mark.parametrize("difference", [-1, 1])
def test_weights_of_another_size_than_announced_are_refused(
    aggregator: FakeAggregator, ada: Participant, monkeypatch: pytest.MonkeyPatch, difference: int
) -> None:
    true_reference = aggregator.task.registry.reference

    def wrong_reference(version: FakeVersion) -> ModelReference:
        reference = true_reference(version)
        return reference.model_copy(update={"size_bytes": reference.size_bytes + difference})

    monkeypatch.setattr(aggregator.task.registry, "reference", wrong_reference)
    with pytest.raises(Rejected) as refused:
        ada.contribute()
    assert refused.value.slug == "digest-mismatch"


def test_a_version_that_is_here_is_not_downloaded_again(start_task: StartTask, join: Join) -> None:
    aggregator = start_task()
    ada = join(aggregator, "ada", (0, 1, 2), kinds=())
    aggregator.promote(0)
    ada.refresh_model()
    ada.refresh_model()
    assert len(downloads(aggregator)) == 1

    assert isinstance(join(aggregator, "ada").contribute(), Contributed)
    assert len(downloads(aggregator)) == 1


def test_the_two_newest_versions_and_the_promoted_one_are_kept(start_task: StartTask, join: Join) -> None:
    aggregator = start_task(stop=StopCriteria(round_budget=5))
    ada = join(aggregator, "ada", (0, 1, 2))
    aggregator.promote(0)
    ada.refresh_model()
    for item in range(5):
        ada.record(item)
        ada.contribute()

    kept = {path.stem for path in ada.store.models.folder.iterdir()}
    assert kept == {aggregator.versions[number].digest for number in (0, 3, 4)}


def test_participants_may_share_one_cache(start_task: StartTask, join: Join, tmp_path: Path) -> None:
    aggregator = start_task()
    cache = ModelCache(tmp_path / "models")
    for name in ("ada", "bob"):
        participant = join(aggregator, name)
        store = LocalStore(participant.store.folder, models=cache)
        participant.close()
        sharing = Participant(aggregator.url, aggregator.enrolment_key, store)
        aggregator.promote(0)
        sharing.refresh_model()
        sharing.close()
    assert len(downloads(aggregator)) == 1


def test_a_digest_from_the_network_never_becomes_another_path(tmp_path: Path) -> None:
    cache = ModelCache(tmp_path / "models")
    with pytest.raises(Rejected):
        cache.read("../participant")


def test_downloaded_weights_are_for_this_user_only_and_as_published(
    aggregator: FakeAggregator, ada: Participant
) -> None:
    ada.contribute()
    (path,) = ada.store.models.folder.iterdir()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem
    assert os.stat(path).st_mode & 0o077 == 0
    assert os.stat(path.parent).st_mode & 0o077 == 0
