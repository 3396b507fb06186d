"""Who may do what: enrolment, tokens, keys, and every route against every kind of caller."""

from __future__ import annotations

import itertools
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.routing import APIRoute

from fedrec_protocol.messages import Role
from tests.integration.aggregator.deployment import Device, report_of
from tests.integration.aggregator.world import World
from tests.unit.aggregator.manifests import content

ONES = report_of(np.ones((2, 2)))
_names = itertools.count(1)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["slug"]


def operator_key(world: World, role: Role, **options: Any) -> dict[str, Any]:
    answer = world.operator("POST", "/v1/operator-keys", json={"name": f"a {role}", "role": role, **options})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_the_same_device_key_is_the_same_client(world: World) -> None:
    task, other = world.task(), world.task()
    device = task.device()
    client_id = device.client_id
    assert device.enrol(task.enrolment_key).json()["client_id"] == client_id
    assert device.enrol(other.enrolment_key).json()["client_id"] != client_id


def test_a_device_gets_new_tokens_with_its_key(world: World) -> None:
    device = world.task().device()
    world.advance(15 * 60 + 1)
    answer = device.send("POST", "/v1/check-ins", json={})
    assert refusal(answer) == (401, "credential-expired")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    renewed = device.renew()
    assert (renewed.status_code, renewed.json()["expires_in_seconds"]) == (201, 900)
    assert device.check_in()["outcome"] in {"assigned", "not-selected"}


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "cli_other"},
        {"sub": "cli_other"},
        {"sub": "cli_\0"},
        {"sub": "cli_\ud800"},
        {"sub": ["cli"]},
        {"aud": "elsewhere"},
        {"iat": 0},
        {"iat": 2_000_000_000, "exp": 2_000_000_060},
        {"exp": 4_000_000_000},
        {"iat": "now"},
    ],
    ids=str,
)
def test_an_assertion_that_is_not_this_devices_and_now_is_refused(world: World, claims: dict[str, Any]) -> None:
    device = world.task().device()
    assert refusal(device.renew(**claims)) == (401, "unauthenticated")


def test_an_assertion_signed_with_another_key_is_refused(world: World) -> None:
    device, thief = world.task().devices(2)
    thief.client_id = device.client_id
    assert refusal(thief.renew()) == (401, "unauthenticated")
    answer = world.http.post("/v1/tokens", json={"assertion": "no.jwt.at all"})
    assert refusal(answer) == (401, "unauthenticated")


def test_a_revoked_client_gets_no_work_and_no_token_and_its_report_is_not_counted(world: World) -> None:
    task = world.task()
    working, idle = task.devices(2)
    assignment_id = working.assigned()["assignment_id"]
    for device in (working, idle):
        assert world.operator("DELETE", f"/v1/tasks/{task.id}/clients/{device.client_id}").status_code == 204
        assert device.check_in()["reason"] == "revoked"
        assert refusal(device.renew()) == (401, "unauthenticated")
        assert refusal(device.enrol(task.enrolment_key)) == (401, "unauthenticated")
    assert refusal(working.report(assignment_id, ONES)) == (403, "forbidden")
    stranger = world.task().device()
    for client_id in ("cli_unknown", stranger.client_id):
        assert refusal(world.operator("DELETE", f"/v1/tasks/{task.id}/clients/{client_id}")) == (404, "not-found")
    assert stranger.check_in()["outcome"] == "assigned"


def test_a_revoked_enrolment_key_enrols_nobody_and_those_enrolled_stay(world: World) -> None:
    task = world.task()
    device = task.device()
    [key] = world.operator("GET", f"/v1/tasks/{task.id}/enrolment-keys").json()
    assert "secret" not in key
    path = f"/v1/tasks/{task.id}/enrolment-keys/{key['key_id']}"
    assert refusal(world.operator("DELETE", path.replace(task.id, world.task().id))) == (404, "not-found")
    assert world.operator("DELETE", path).status_code == 204
    assert refusal(Device(world).enrol(task.enrolment_key)) == (401, "credential-expired")
    assert device.check_in()["outcome"] == "assigned"


def test_keys_end_when_they_were_said_to(world: World) -> None:
    task = world.task()
    answer = world.operator("POST", f"/v1/tasks/{task.id}/enrolment-keys", json={"expires_in_seconds": 60})
    key = operator_key(world, Role.READ, expires_in_seconds=60)
    assert Device(world).enrol(answer.json()["secret"]).status_code == 201
    assert world.operator("GET", "/v1/tasks", key=key["secret"]).status_code == 200
    world.advance(60)
    assert refusal(Device(world).enrol(answer.json()["secret"])) == (401, "credential-expired")
    assert refusal(world.operator("GET", "/v1/tasks", key=key["secret"])) == (401, "credential-expired")


def test_a_revoked_operator_key_is_refused(world: World) -> None:
    key = operator_key(world, Role.READ)
    assert key["key_id"] in {other["key_id"] for other in world.operator("GET", "/v1/operator-keys").json()}
    assert world.operator("DELETE", f"/v1/operator-keys/{key['key_id']}").status_code == 204
    assert refusal(world.operator("GET", "/v1/tasks", key=key["secret"])) == (401, "credential-expired")
    assert refusal(world.operator("DELETE", "/v1/operator-keys/okey_unknown")) == (404, "not-found")


def test_keys_are_listed_newest_first_with_the_time_of_their_first_revocation(world: World) -> None:
    task = world.task()
    homes = ["/v1/operator-keys", f"/v1/tasks/{task.id}/enrolment-keys"]
    bodies: list[dict[str, Any]] = [{"name": "ada", "role": "read"}, {}]
    for home, body in zip(homes, bodies, strict=True):
        made = []
        for _ in range(2):
            world.advance(1)
            made.append(world.operator("POST", home, json=body).json()["key_id"])
        world.operator("DELETE", f"{home}/{made[0]}")
        first = next(key["revoked_at"] for key in world.operator("GET", home).json() if key["key_id"] == made[0])
        world.advance(60)
        assert world.operator("DELETE", f"{home}/{made[0]}").status_code == 204
        listed = {key["key_id"]: key["revoked_at"] for key in world.operator("GET", home).json()}
        assert [key for key in listed if key in made] == made[::-1]
        assert listed[made[0]] == first is not None


@pytest.mark.parametrize("life", [0, -1, 1e300, "for ever"])
def test_a_key_has_a_life_that_can_be_counted(world: World, life: Any) -> None:
    body = {"name": "ada", "role": "read", "expires_in_seconds": life}
    assert refusal(world.operator("POST", "/v1/operator-keys", json=body)) == (422, "invalid-request")


@pytest.mark.parametrize("name", ["", "a\nb", "a\r", "\x1b[2J", "\x9b2J", "a\u2028b", "tab\t", "del\x7f", "x" * 101])
def test_a_key_has_a_name_of_one_line(world: World, name: str) -> None:
    answer = world.operator("POST", "/v1/operator-keys", json={"name": name, "role": "read"})
    assert refusal(answer) == (422, "invalid-request")


def test_json_that_is_too_large_is_refused_before_anybody_is_asked_who_they_are(world: World) -> None:
    answer = world.http.post("/v1/check-ins", content=b" " * (1024 * 1024 + 1))
    assert refusal(answer) == (413, "body-too-large")


# ---- every route, every caller -----------------------------------------------------------------------

PARTICIPANT = {("POST", "/v1/check-ins"), ("GET", "/v1/task"), ("GET", "/v1/assignments/{assignment_id}")}
PARTICIPANT |= {("POST", "/v1/assignments/{assignment_id}/report")}
SECURE = "/v1/assignments/{assignment_id}/secure"
PARTICIPANT |= {("GET", SECURE)} | {
    ("PUT", f"{SECURE}/{step}") for step in ("advert", "shares", "acknowledgement", "reveal")
}
PARTICIPANT |= {("GET", f"{SECURE}/{what}") for what in ("roster", "inbox", "survivors", "acknowledgements")}
ENCRYPTED = "/v1/assignments/{assignment_id}/encrypted-sum"
PARTICIPANT |= {("GET", ENCRYPTED), ("GET", f"{ENCRYPTED}/words")}
PARTICIPANT |= {("PUT", "/v1/assignments/{assignment_id}/decrypted-sum")}
APP = {("POST", "/v1/enrolments")}
# What is signed with the device's key needs no other credential.
SELF_PROVING = {("POST", "/v1/tokens"), ("PUT", "/v1/device-key")}
PUBLIC = SELF_PROVING | {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/.well-known/jwks.json")}
PUBLIC |= {("GET", "/docs"), ("GET", "/dashboard"), ("GET", "/problems/{slug}")}
RUN = {("POST", "/v1/tasks")} | {("POST", f"/v1/tasks/{{task_id}}/{verb}") for verb in ("pause", "resume", "cancel")}
RUN |= {("POST", "/v1/tasks/{task_id}/enrolment-keys"), ("GET", "/v1/tasks/{task_id}/enrolment-keys")}
RUN |= {
    ("DELETE", "/v1/tasks/{task_id}/enrolment-keys/{key_id}"),
    ("PUT", "/v1/tasks/{task_id}/enrolment-keys/{key_id}/vouchers"),
    ("DELETE", "/v1/tasks/{task_id}/clients/{client_id}"),
}
ADMIN = {
    ("GET", "/v1/audit"),
    ("POST", "/v1/operator-keys"),
    ("GET", "/v1/operator-keys"),
    ("DELETE", "/v1/operator-keys/{key_id}"),
    ("DELETE", "/v1/clients/{client_id}"),
    ("DELETE", "/v1/tasks/{task_id}"),
    ("POST", "/v1/tasks/{task_id}/unrecorded-releases"),
}
READ = {
    ("GET", "/v1/tasks"),
    ("GET", "/v1/tasks/{task_id}"),
    ("GET", "/v1/tasks/{task_id}/rounds"),
    ("GET", "/metrics"),
}
READ |= {("GET", "/v1/tasks/{task_id}/rounds/current"), ("GET", "/v1/rounds/{round_id}")}
READ |= {("GET", "/v1/tasks/{task_id}/privacy")}

CALLERS = ("nobody", "garbage", "participant", "stranger", "app", "read", "run", "admin")
OPERATORS = {"read": READ, "run": READ | RUN, "admin": READ | RUN | ADMIN}


def may(caller: str, route: tuple[str, str]) -> bool:
    if route in PUBLIC:
        return True
    if route in PARTICIPANT:
        return caller in {"participant", "stranger"}
    if route in APP:
        return caller == "app"
    return route in OPERATORS.get(caller, set())


@pytest.fixture(scope="module")
def secrets(world: World) -> dict[str, str]:
    task = world.task()
    return {
        "participant": task.device().token,
        "stranger": world.task().device().token,
        "app": task.enrolment_key,
        "garbage": "fo_" + "x" * 43,
        "read": operator_key(world, Role.READ)["secret"],
        "run": operator_key(world, Role.RUN)["secret"],
        "admin": operator_key(world, Role.ADMIN)["secret"],
    }


def every_route(world: World) -> set[tuple[str, str]]:
    app = world.apps[0]
    paths = app.openapi()["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    hidden = [route for route in app.routes if isinstance(route, APIRoute)]
    return described | {(method, route.path) for route in hidden for method in route.methods or ()}


def test_every_route_says_who_may_use_it(world: World) -> None:
    assert every_route(world) == PUBLIC | PARTICIPANT | APP | READ | RUN | ADMIN


@pytest.mark.parametrize("caller", CALLERS)
def test_every_route_is_open_to_those_who_may_and_to_nobody_else(
    world: World, secrets: dict[str, str], caller: str
) -> None:
    headers = {"Authorization": f"Bearer {secrets[caller]}"} if caller != "nobody" else {}
    wrong = {}
    for method, path in sorted(every_route(world)):
        ids = dict.fromkeys(("task_id", "round_id", "assignment_id", "client_id", "key_id"), "unknown")
        body = content(name=f"role-{next(_names)}") if (method, path) == ("POST", "/v1/tasks") else {}
        answer = world.http.request(method, path.format(slug="forbidden", **ids), headers=headers, json=body)
        # Whoever may come in is told what else is wrong: unknown ids, empty bodies, no safetensors.
        is_let_in = answer.status_code not in {401, 403}
        if is_let_in is not may(caller, (method, path)):
            wrong[method, path] = answer.status_code
    assert wrong == {}


def test_operators_of_too_low_a_role_are_told_which_one_they_need(world: World, secrets: dict[str, str]) -> None:
    answer = world.operator("POST", "/v1/tasks", key=secrets["read"], json=content())
    assert refusal(answer) == (403, "forbidden")
    assert "run" in answer.json()["detail"]


def test_a_participant_sees_its_own_task_and_its_own_assignments(world: World) -> None:
    task = world.task(rounds={"aggregation_goal": 3})
    device, other, stranger = task.device(), task.device(), world.task().device()
    own = device.send("GET", "/v1/task").json()
    assert own["task_id"] == task.id
    assert own["manifest_digest"] == task.get()["manifest_digest"]
    assignment_id = device.assigned()["assignment_id"]
    for somebody in (other, stranger):
        assert refusal(somebody.send("GET", f"/v1/assignments/{assignment_id}")) == (404, "unknown-assignment")
        assert refusal(somebody.report(assignment_id, ONES)) == (404, "unknown-assignment")
    assert stranger.send("GET", "/v1/task").json()["task_id"] != task.id


def test_a_participant_reads_the_versions_of_its_own_model_only(world: World) -> None:
    task, other = world.task(), world.task()
    device = task.device()

    def status(version_id: str) -> int:
        url = f"{world.registry_url}/v1/versions/{version_id}/weights"
        headers = {"Authorization": f"Bearer {device.token}"}
        return httpx.get(url, headers=headers, timeout=60, trust_env=False).status_code

    assert status(task.get()["current_version_id"]) == 200
    assert status(other.get()["current_version_id"]) == 404


def test_secrets_are_shown_once_and_stored_as_hashes(world: World) -> None:
    key = operator_key(world, Role.READ)["secret"]
    assert key not in world.operator("GET", "/v1/operator-keys").text
    with world.context.db.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT o::text FROM aggregator.operator_keys o").scalars().all()
    assert rows
    assert all(key not in row for row in rows)
