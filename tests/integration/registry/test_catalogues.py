"""Catalogues of items, through HTTP."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fedrec_protocol.item_catalogue import CatalogueView, ItemCatalogue
from fedrec_protocol.messages import Role
from tests.integration.registry.support import Registry, weights

CATALOGUE = "/v1/models/films/catalogue"


@pytest.fixture
def five_rows(films: Registry) -> Registry:
    """The model `films` with an empty catalogue of five rows."""
    assert films.send("PUT", CATALOGUE, json={"capacity": 5}).status_code == 201
    return films


def changed(registry: Registry, **change: list[str]) -> dict[str, Any]:
    answer = registry.send("POST", f"{CATALOGUE}/changes", json=change)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def rows(view: dict[str, Any]) -> list[tuple[int, str, bool]]:
    return [(entry["index"], entry["item_id"], entry["is_retired"]) for entry in view["changes"]]


def test_new_items_take_the_next_rows_and_retired_ones_keep_theirs(five_rows: Registry) -> None:
    assert rows(changed(five_rows, add=["heat", "ran"])) == [(0, "heat", False), (1, "ran", False)]
    second = changed(five_rows, add=["alien"], retire=["heat"])
    assert rows(second) == [(0, "heat", True), (2, "alien", False)]
    assert (second["number"], second["since"]) == (2, 1)
    assert rows(changed(five_rows, add=["heat"])) == [(0, "heat", False)]


def test_the_same_change_again_makes_no_version(five_rows: Registry) -> None:
    first = changed(five_rows, add=["heat", "ran", "heat"], retire=["ran"])
    again = changed(five_rows, add=["heat"], retire=["ran"])
    assert (again["number"], again["digest"], again["changes"]) == (1, first["digest"], [])


def test_a_participant_fetches_what_changed_since_the_version_it_has(five_rows: Registry) -> None:
    changed(five_rows, add=["heat", "ran"])
    changed(five_rows, retire=["ran"])
    changed(five_rows, add=["alien"])
    participant = five_rows.as_participant("films")
    whole, recent = (
        CatalogueView.model_validate(five_rows.client.get(f"{CATALOGUE}?since={since}", headers=participant).json())
        for since in (0, 1)
    )
    assert [entry.index for entry in recent.changes] == [1, 2]
    first = ItemCatalogue(("heat", "ran"))
    assert first.with_changes(recent.changes) == ItemCatalogue().with_changes(whole.changes)
    assert first.with_changes(recent.changes).digest == whole.digest == recent.digest
    stranger = five_rows.client.get(CATALOGUE, headers=five_rows.as_participant("books"))
    assert (stranger.status_code, stranger.json()["slug"]) == (404, "unknown-model")


def test_a_version_names_the_catalogue_it_was_published_under(films: Registry) -> None:
    assert films.publish("films", weights(1))["catalogue_number"] is None
    films.send("PUT", CATALOGUE, json={"capacity": 5})
    changed(films, add=["heat"])
    version = films.publish("films", weights(2))
    changed(films, add=["ran"])
    assert films.send("GET", f"/v1/versions/{version['version_id']}").json()["catalogue_number"] == 1


def test_changes_at_the_same_time_give_every_item_a_row_of_its_own(five_rows: Registry) -> None:
    with ThreadPoolExecutor(5) as operators:
        views = list(operators.map(lambda item: changed(five_rows, add=[item]), "abcde"))
    assert sorted(view["number"] for view in views) == [1, 2, 3, 4, 5]
    whole = five_rows.send("GET", CATALOGUE).json()
    assert sorted(item for _, item, _ in rows(whole)) == list("abcde")
    assert [index for index, _, _ in rows(whole)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "slug"),
    [
        ("POST", f"{CATALOGUE}/changes", {"add": list("abcdef")}, 409, "catalogue-full"),
        ("POST", f"{CATALOGUE}/changes", {"retire": ["heat"]}, 404, "unknown-item"),
        ("POST", f"{CATALOGUE}/changes", {"add": ["tab\there"]}, 422, "invalid-request"),
        ("PUT", CATALOGUE, {"capacity": 6}, 409, "catalogue-conflict"),
        ("GET", "/v1/models/books/catalogue", None, 404, "unknown-model"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    five_rows: Registry, method: str, path: str, body: Any, status: int, slug: str
) -> None:
    answer = five_rows.send(method, path, json=body)
    assert (answer.status_code, answer.json()["slug"]) == (status, slug)
    assert five_rows.send("GET", CATALOGUE).json()["number"] == 0


def test_a_model_without_a_catalogue_says_so_and_making_one_twice_is_fine(films: Registry) -> None:
    assert films.send("GET", CATALOGUE).json()["slug"] == "unknown-catalogue"
    made = [films.send("PUT", CATALOGUE, json={"capacity": 9}).status_code for _ in range(2)]
    assert made == [201, 200]


def test_a_catalogue_may_be_made_before_the_first_version_makes_its_model(five_rows: Registry) -> None:
    # A task's first version is published a moment after the task is created: its operator need not wait for it.
    early = "/v1/models/series/catalogue"
    assert five_rows.send("PUT", early, json={"capacity": 5}).status_code == 201
    assert five_rows.send("POST", f"{early}/changes", json={"add": ["heat"]}).status_code == 200
    assert five_rows.publish("series", weights(1))["catalogue_number"] == 1


def test_changing_needs_the_role_run(five_rows: Registry) -> None:
    for method, path, body in (("POST", f"{CATALOGUE}/changes", {"add": ["a"]}), ("PUT", CATALOGUE, {"capacity": 5})):
        assert five_rows.send(method, path, Role.READ, json=body).status_code == 403
