"""The published known answers are what the code gives, and the round among them is what it says."""

import json

import pytest

from tests.unit.secagg import slow_secagg as slow
from tests.unit.secagg.vectors import FOLDER, build

BUILT = build()


@pytest.mark.parametrize("name", sorted(BUILT))
def test_the_published_vectors_are_what_the_code_gives(name: str) -> None:
    assert json.loads((FOLDER / name).read_text()) == json.loads(json.dumps(BUILT[name]))


def test_nothing_else_is_published() -> None:
    assert {path.name for path in FOLDER.glob("*.json")} == set(BUILT)


def test_the_published_masked_reports_follow_from_the_published_secrets_by_the_slow_implementation() -> None:
    published = json.loads((FOLDER / "round.json").read_text())
    rid = bytes.fromhex(published["round_id"])
    roster = [slow.from_base64url(advert["mask_key"]) for advert in published["roster"]["adverts"]]
    for position, vector in published["vectors"].items():
        secrets = {name: slow.from_base64url(value) for name, value in published["secrets"][position].items()}
        pairs = [
            (slow.pair_mask_key(secrets["mask_private"], roster[other], rid), 1 if int(position) < other else -1)
            for other in map(int, published["secrets"])
            if other != int(position)
        ]
        own = slow.own_mask_key(secrets["seed"], rid)
        assert slow.masked_report(vector, own, pairs, 24, 4).hex() == published["masked_reports"][position]
