"""Every route against every caller: a route that is added without saying who may use it fails here."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedrec_protocol.messages import Role
from services.kit import access_tokens
from tests.integration.registry.support import ADMIN_KEY, NOON, KeyServer, Registry, weights

READ, RUN, ADMIN = "read", "run", "admin"
OWN, OTHER, NOBODY = "participant of this model", "participant of another model", "nobody"
OPERATORS = (READ, RUN, ADMIN)
CALLERS = (*OPERATORS, OWN, OTHER, NOBODY)

FILES = {"/docs/assets", "/dashboard/assets", "/dashboard/shared"}
EVERYBODY = FILES | {"/healthz", "/readyz", "/docs", "/dashboard", "/openapi.json", "/problems/{slug}"}
ALLOWED: dict[tuple[str, str], set[str]] = {
    ("GET", "/metrics"): {READ, RUN, ADMIN},
    ("POST", "/v1/models"): {RUN, ADMIN},
    ("GET", "/v1/models"): {READ, RUN, ADMIN},
    ("GET", "/v1/models/{model}"): {READ, RUN, ADMIN, OWN},
    ("PUT", "/v1/weights/{digest}"): {RUN, ADMIN},
    ("POST", "/v1/models/{model}/versions"): {RUN, ADMIN},
    ("GET", "/v1/models/{model}/versions"): {READ, RUN, ADMIN, OWN},
    ("GET", "/v1/versions/{version_id}"): {READ, RUN, ADMIN, OWN},
    ("PUT", "/v1/versions/{version_id}/metrics"): {RUN, ADMIN},
    ("GET", "/v1/versions/{version_id}/weights"): {READ, RUN, ADMIN, OWN},
    ("HEAD", "/v1/versions/{version_id}/weights"): {READ, RUN, ADMIN, OWN},
    ("GET", "/v1/models/{model}/aliases/{alias}"): {READ, RUN, ADMIN, OWN},
    ("PUT", "/v1/models/{model}/aliases/{alias}"): {RUN, ADMIN},
    ("POST", "/v1/models/{model}/aliases/{alias}/rollback"): {RUN, ADMIN},
    ("GET", "/v1/models/{model}/aliases/{alias}/history"): {READ, RUN, ADMIN},
    ("PUT", "/v1/models/{model}/catalogue"): {RUN, ADMIN},
    ("POST", "/v1/models/{model}/catalogue/changes"): {RUN, ADMIN},
    ("GET", "/v1/models/{model}/catalogue"): {READ, RUN, ADMIN, OWN},
    ("POST", "/v1/operator-keys"): {ADMIN},
    ("GET", "/v1/operator-keys"): {ADMIN},
    ("DELETE", "/v1/operator-keys/{key_id}"): {ADMIN},
    ("GET", "/v1/audit"): {ADMIN},
}
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/v1/models"): {"name": "songs"},
    ("POST", "/v1/models/{model}/versions"): {"digest": "0" * 64},
    ("PUT", "/v1/versions/{version_id}/metrics"): {"metrics": {}, "evaluated": 0},
    ("PUT", "/v1/models/{model}/aliases/{alias}"): {"version_id": "ver_none"},
    ("POST", "/v1/models/{model}/aliases/{alias}/rollback"): {},
    ("PUT", "/v1/models/{model}/catalogue"): {"capacity": 10},
    ("POST", "/v1/models/{model}/catalogue/changes"): {"add": ["heat"]},
    ("POST", "/v1/operator-keys"): {"name": "eve", "role": "admin"},
}


def routes(found: Any) -> set[tuple[str, str]]:
    """Every method and path that an application or router answers, documented or not."""
    answered = set()
    for route in found.routes:
        if hasattr(route, "original_router"):
            answered |= routes(route.original_router)
        else:
            answered |= {(method, route.path) for method in getattr(route, "methods", None) or {"GET"}}
    return answered


def credential(registry: Registry, caller: str) -> dict[str, str]:
    if caller in OPERATORS:
        return registry.as_role(Role(caller))
    models = {OWN: "films", OTHER: "songs"}
    return registry.as_participant(models[caller]) if caller in models else {}


@pytest.fixture
def addresses(films: Registry) -> dict[str, str]:
    version_id = films.publish("films", weights(1))["version_id"]
    assert films.send("PUT", "/v1/models/films/aliases/production", json={"version_id": version_id}).is_success
    return {
        "{model}": "films",
        "{alias}": "production",
        "{version_id}": version_id,
        "{digest}": "0" * 64,
        "{key_id}": "okey_none",
    }


def test_the_matrix_names_every_route(refusing: Registry) -> None:
    closed = {(method, path) for method, path in routes(refusing.client.app) if path not in EVERYBODY}
    assert closed == set(ALLOWED)


@pytest.mark.parametrize("caller", CALLERS)
def test_every_route_against(films: Registry, addresses: dict[str, str], caller: str) -> None:
    wrong = {}
    for (method, path), allowed in ALLOWED.items():
        url = path
        for placeholder, value in addresses.items():
            url = url.replace(placeholder, value)
        answer = films.client.request(method, url, headers=credential(films, caller), json=BODIES.get((method, path)))
        if outcome(answer.status_code, caller, allowed) is False:
            wrong[method, path] = answer.status_code
    assert wrong == {}


def outcome(status: int, caller: str, allowed: set[str]) -> bool:
    """Whether a status is right for a caller; what allowed callers get depends on the request, but is no refusal."""
    if caller in allowed:
        return status not in (401, 403) and status < 500
    if caller == NOBODY:
        return status == 401
    # What a participant must not know of does not exist for it.
    return status in (403, 404) if caller == OTHER else status == 403


@pytest.mark.parametrize("path", sorted(EVERYBODY - FILES - {"/problems/{slug}"}))
def test_what_everybody_may_see(refusing: Registry, path: str) -> None:
    assert refusing.client.get(path).status_code == 200


def test_a_participant_cannot_tell_another_model_from_one_that_does_not_exist(films: Registry) -> None:
    version_id = films.publish("films", weights(1))["version_id"]
    for real, invented in (
        ("/v1/models/films", "/v1/models/none"),
        ("/v1/models/films/versions", "/v1/models/none/versions"),
        (f"/v1/versions/{version_id}", "/v1/versions/ver_none"),
        (f"/v1/versions/{version_id}/weights", "/v1/versions/ver_none/weights"),
    ):
        seen = [films.client.get(path, headers=films.as_participant("songs")) for path in (real, invented)]
        assert [answer.status_code for answer in seen] == [404, 404]
        assert seen[0].json()["slug"] == seen[1].json()["slug"]


@pytest.mark.parametrize(
    "header", ["", "Basic Zm9vOmJhcg==", "Bearer", "Bearer fo_unknown", "Bearer a.b.c", "Bearer fe_key", "bearer \xff"]
)
def test_what_is_no_credential_of_ours_is_unauthenticated(refusing: Registry, header: str) -> None:
    answer = refusing.client.get("/v1/models", headers={b"Authorization": header.encode("latin-1")})
    assert (answer.status_code, answer.json()["slug"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_revoked_key_is_refused_at_once(registry: Registry) -> None:
    key = registry.make_key(Role.READ)
    header = {"Authorization": f"Bearer {key['secret']}"}
    assert registry.client.get("/v1/models", headers=header).status_code == 200
    for _ in range(2):
        assert registry.send("DELETE", f"/v1/operator-keys/{key['key_id']}", Role.ADMIN).status_code == 204
    answer = registry.client.get("/v1/models", headers=header)
    assert (answer.status_code, answer.json()["slug"]) == (401, "credential-expired")


def test_a_key_ends_when_it_was_said_to(registry: Registry) -> None:
    key = registry.make_key(Role.READ, expires_in_seconds=60)
    header = {"Authorization": f"Bearer {key['secret']}"}
    registry.clock.advance(timedelta(seconds=59))
    assert registry.client.get("/v1/models", headers=header).status_code == 200
    registry.clock.advance(timedelta(seconds=1))
    assert registry.client.get("/v1/models", headers=header).json()["slug"] == "credential-expired"


def test_keys_are_listed_without_their_secrets(registry: Registry) -> None:
    listed = registry.send("GET", "/v1/operator-keys", Role.ADMIN)
    named = {(key["name"], key["role"]) for key in listed.json()}
    assert named == {("bootstrap", "admin"), ("a read", "read"), ("a run", "run")}
    for secret in registry.secrets.values():
        assert secret not in listed.text


def test_operators_leave_a_trace(films: Registry) -> None:
    version_id = films.publish("films", weights(1))["version_id"]
    assert films.send("PUT", "/v1/models/films/aliases/production", json={"version_id": version_id}).is_success
    entries = films.send("GET", "/v1/audit", Role.ADMIN).json()
    assert entries[0]["subject"] == version_id
    assert [(entry["operator"], entry["action"]) for entry in reversed(entries)] == [
        ("bootstrap", "create operator key"),
        ("bootstrap", "create operator key"),
        ("a run", "create model"),
        ("a run", "upload weights"),
        ("a run", "publish version"),
        ("a run", "promote production"),
    ]


def test_a_token_of_a_strange_aggregator_is_refused(refusing: Registry) -> None:
    participant = access_tokens.Participant("cli_1", "tsk_1", "films")
    token = access_tokens.issue(participant, Ed25519PrivateKey.generate(), NOON)
    answer = refusing.client.get("/v1/models/films", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["slug"]) == (401, "unauthenticated")


def test_an_expired_token_says_so(films: Registry, key_server: KeyServer) -> None:
    header = films.as_participant("films")
    films.clock.advance(access_tokens.LIFETIME + timedelta(seconds=1))
    answer = films.client.get("/v1/models/films", headers=header)
    assert (answer.status_code, answer.json()["slug"]) == (401, "credential-expired")


def test_without_the_aggregator_unknown_tokens_must_wait_and_known_keys_still_work(films: Registry) -> None:
    films.keys.is_up = False
    answer = films.client.get("/v1/models/films", headers=films.as_participant("films"))
    assert (answer.status_code, answer.json()["slug"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert films.send("GET", "/v1/models/films").status_code == 200


def test_requests_are_measured_under_the_template_of_their_route(refusing: Registry) -> None:
    refusing.send("GET", "/v1/models/films")
    assert 'method="GET",route="/v1/models/{model}",service="model-registry"' in refusing.send("GET", "/metrics").text


def test_the_bootstrap_key_is_not_stored_as_it_is(refusing: Registry) -> None:
    rows = refusing.context.db.run("keys", lambda tx: tx.exec_driver_sql("SELECT * FROM registry.operator_keys").all())
    assert ADMIN_KEY not in str(rows)
