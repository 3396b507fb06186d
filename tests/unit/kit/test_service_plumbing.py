"""What every service gets from the kit: documentation, health, metrics and logs."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient
from pydantic import BaseModel

from fedrec_protocol.problems import Slug
from services.kit import health, metrics, observation, openapi, problems
from services.kit.service import Service


class Broken(Exception):
    pass


def refuse() -> None:
    raise HTTPException(403, "not you")


@pytest.fixture
def ready() -> dict[str, bool]:
    return {"database": True}


@pytest.fixture
def client(ready: dict[str, bool]) -> Iterator[TestClient]:
    def database() -> None:
        if not ready["database"]:
            raise Broken("secret host name")

    app = Service(title="Example", docs_url=None, redoc_url=None)
    app.get("/v1/things/{thing}", responses=problems.documented(404))(lambda thing: {"thing": thing})
    app.get("/v1/numbers/{number}")(number)
    app.post("/v1/things")(make)
    problems.install(app, Broken, {})
    health.install(app, {"database": database})
    metrics.install(app)
    openapi.install(app)
    observation.install(app, "example")
    with TestClient(app) as client:
        yield client


def number(number: int) -> int:
    return number


class Wish(BaseModel):
    name: str


def make(wish: Wish) -> str:
    return wish.name


@pytest.mark.parametrize("media_type", ["application/x-www-form-urlencoded", "text/plain", ""])
def test_a_body_that_is_not_said_to_be_json_is_answered_with_how_to_say_so(client: TestClient, media_type: str) -> None:
    answer = client.post("/v1/things", content=b'{"name": "a"}', headers={"Content-Type": media_type})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "send the body as JSON, with `Content-Type: application/json`"


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "application/problem+json"])
def test_what_is_wrong_in_a_body_of_json_is_named(client: TestClient, media_type: str) -> None:
    answer = client.post("/v1/things", content=b'{"nam": "a"}', headers={"Content-Type": media_type})
    assert answer.json()["detail"] == "body.name: Field required"
    answer = client.post("/v1/things", content=b"[]", headers={"Content-Type": media_type})
    assert "dictionary" in answer.json()["detail"]


def test_an_address_at_which_there_is_nothing_says_where_to_look(client: TestClient) -> None:
    for answer in (client.get("/"), client.delete("/v1/things/1")):
        assert answer.status_code in {404, 405}
        assert "/docs lists what is served here" in answer.json()["detail"]


def test_the_documentation_needs_no_other_host(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(addresses) == 4
    for address in addresses:
        assert client.get(f"/{address}").status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_swagger_ui_comes_with_its_licences(client: TestClient) -> None:
    assert "Apache License" in client.get("/docs/assets/LICENSE").text
    assert "SmartBear" in client.get("/docs/assets/NOTICE").text


def test_every_refusal_is_documented_as_a_problem_document(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    for path in ("/v1/things/{thing}", "/v1/numbers/{number}", "/readyz"):
        responses = document["paths"][path]["get"]["responses"]
        refusals = {status: list(answer["content"]) for status, answer in responses.items() if status >= "400"}
        assert refusals
        assert all(types == ["application/problem+json"] for types in refusals.values())
    assert "slug" in document["components"]["schemas"]["Problem"]["properties"]
    assert "HTTPValidationError" not in document["components"]["schemas"]


@pytest.mark.parametrize(("seconds", "field"), [(0.2, "1"), (1.0, "1"), (1.4, "2")])
def test_whoever_waits_as_long_as_it_was_told_does_not_come_too_early(seconds: float, field: str) -> None:
    class Busy(Exception):
        slug = Slug.OVERLOADED
        retry_after_seconds = seconds

    def busy() -> None:
        raise Busy("come back later")

    app = FastAPI(docs_url=None, redoc_url=None)
    app.get("/busy")(busy)
    problems.install(app, Busy, {Busy: 503})
    with TestClient(app) as client:
        assert client.get("/busy").headers["retry-after"] == field


def test_a_living_process_is_healthy_even_when_it_cannot_serve(client: TestClient, ready: dict[str, bool]) -> None:
    assert client.get("/readyz").json() == {"status": "ok"}
    ready["database"] = False
    assert client.get("/healthz").json() == {"status": "ok"}
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert "database" in answer.json()["detail"]
    assert "secret" not in answer.text


def test_requests_are_measured_by_route_and_not_by_address(client: TestClient) -> None:
    client.get("/v1/things/one")
    client.get("/v1/things/two")
    client.get("/nowhere")
    text = client.get("/metrics").text
    labels = 'method="GET",route="/v1/things/{thing}",service="example",status="200"'
    assert f"fedrec_request_seconds_count{{{labels}}} 2.0" in text
    assert 'route="",service="example",status="404"' in text
    assert "/nowhere" not in text


def test_metrics_can_be_kept_from_strangers() -> None:
    app = FastAPI()
    metrics.install(app, [Depends(refuse)])
    assert TestClient(app).get("/metrics").status_code == 403


LOGGING = """
import logging
import structlog
from fastapi.testclient import TestClient
from services.kit import logs, observation
from services.kit.service import Service

logs.configure("info")
app = Service()
app.get("/v1/things/{thing}")(lambda thing: thing)
observation.install(app, "example")
client = TestClient(app)
structlog.get_logger("ours").info("folded", reports=3)
logging.getLogger("uvicorn.error").warning("theirs")
client.get("/v1/things/one?token=secret")
client.get("/healthz")
client.get("/v1/things/%22%0Atwo")
"""


def test_every_log_line_is_a_json_object_and_health_checks_are_not_logged() -> None:
    run = subprocess.run([sys.executable, "-c", LOGGING], capture_output=True, text=True, check=True, timeout=280)
    ours, theirs, request, odd = (json.loads(line) for line in run.stderr.splitlines())
    assert (ours["event"], ours["reports"], ours["level"], ours["logger"]) == ("folded", 3, "info", "ours")
    assert (theirs["event"], theirs["level"]) == ("theirs", "warning")
    assert (request["path"], request["route"]) == ("/v1/things/one", "/v1/things/{thing}")
    assert (request["status"], request["sent_bytes"]) == (200, 5)
    assert len(request["request_id"]) == 16
    assert (odd["path"], odd["event"], odd["level"]) == ('/v1/things/"\ntwo', "request", "info")
    assert datetime.fromisoformat(odd["timestamp"]).tzinfo == UTC
    assert "secret" not in run.stderr
