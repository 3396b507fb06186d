"""A home that fails says so, changes nothing, and works again when it is mended."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from services.kit.db import Database
from services.kit.objects import ObjectHome, ObjectsUnavailable, ObjectTables, open_home, s3
from tests.soak.homes import Home, HomeKind, Trouble
from tests.soak.homes import open_home as open_breakable

CONTENT = bytes(range(256)) * 64
CASES = [
    (HomeKind.FOLDER, Trouble.FULL),
    (HomeKind.FOLDER, Trouble.AWAY),
    (HomeKind.S3, Trouble.AWAY),
    (HomeKind.S3, Trouble.ANSWERS_LOST),
    (HomeKind.S3, Trouble.STALLED),
]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1]}".replace(" ", "-"))
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Home, Trouble]]:
    kind, trouble = request.param
    with open_breakable(kind, tmp_path) as home:
        if trouble not in home.troubles:
            pytest.skip("we may not mount a disk of our own here")
        yield home, trouble


@pytest.fixture
def home(case: tuple[Home, Trouble], tables: ObjectTables, monkeypatch: pytest.MonkeyPatch) -> ObjectHome:
    # Without a bound the S3 client tries for three minutes, longer than a test may take.
    monkeypatch.setattr(s3, "_TIMEOUT", timedelta(seconds=1))
    monkeypatch.setattr(s3, "_LAST_RETRY", timedelta(seconds=0.5))
    for name, value in case[0].environment.items():
        monkeypatch.setenv(name, value)
    return open_home(case[0].environment["FEDREC_AGGREGATOR_OBJECT_HOME"], tables)


def test_a_home_in_trouble_stores_nothing_and_works_again_when_it_is_mended(
    db: Database, home: ObjectHome, case: tuple[Home, Trouble], tmp_path: Path
) -> None:
    breakable, trouble = case
    before = db.run("put", lambda tx: home.put(tx, [CONTENT]))
    breakable.break_(trouble)
    with pytest.raises(ObjectsUnavailable):
        db.run("put", lambda tx: home.put(tx, [CONTENT]))
    breakable.mend()
    assert list(tmp_path.rglob("*.partial")) == []
    after = db.run("put", lambda tx: home.put(tx, [CONTENT]))
    for key in (before, after):
        assert db.run("read", lambda tx, key=key: b"".join(home.read(tx, key))) == CONTENT  # type: ignore[misc]
