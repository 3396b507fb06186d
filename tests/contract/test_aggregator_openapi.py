"""The aggregator's OpenAPI document: complete, and true of the service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from fedrec.local.postgres import LocalPostgres
from fedrec.manifests import manifest_for
from fedrec_protocol import codec
from fedrec_protocol.manifest import RoundPolicy, TaskManifest
from fedrec_protocol.problems import PROBLEM_MEDIA_TYPE
from fedrec_recipes import catalogue
from services.aggregator.api import problems
from services.aggregator.api.descriptions import MATRIX_FACTORISATION
from services.aggregator.app import create_app
from services.aggregator.settings import Settings
from tests.databases import create_database
from tests.integration.aggregator.deployment import report_of
from tests.integration.aggregator.world import World

KEY = "A" * 43
SETTINGS = Settings(
    database_url="postgresql+psycopg://nobody@/none?host=/nowhere",
    deployment_key=KEY,
    key_pepper=KEY,
    registry_url="http://127.0.0.1:9",
    registry_key="fo_" + KEY,
    log_level="critical",
)
DOCUMENT: dict[str, Any] = create_app(SETTINGS).openapi()
GUARDED = {"participant", "operator", "app", "signature"}
OPEN = {"/v1/tokens", "/v1/device-key", "/healthz", "/readyz", "/.well-known/jwks.json"}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


OPERATIONS = {f"{method} {path}": (path, operation) for path, method, operation in operations()}
every_operation = pytest.mark.parametrize(("path", "operation"), OPERATIONS.values(), ids=OPERATIONS.keys())


def test_the_document_is_valid_openapi() -> None:
    validate(json.loads(json.dumps(DOCUMENT)))


@every_operation
def test_every_operation_has_a_name_and_words(path: str, operation: dict[str, Any]) -> None:
    assert operation["operationId"]
    assert operation["summary"]
    assert operation["description"]
    assert operation["tags"]


def test_every_group_of_operations_is_described() -> None:
    groups = {tag for _, operation in OPERATIONS.values() for tag in operation["tags"]}
    assert {tag["name"] for tag in DOCUMENT["tags"] if tag["description"]} == groups


def test_the_example_of_a_task_is_what_the_recipe_makes_of_itself() -> None:
    recipe = catalogue.recipe(TaskManifest.model_validate(MATRIX_FACTORISATION).recipe)
    policy = RoundPolicy.model_validate(MATRIX_FACTORISATION["rounds"])
    made = manifest_for(recipe, name="films", rounds=policy, round_budget=recipe.usual_rounds)
    assert TaskManifest.model_validate({**MATRIX_FACTORISATION, "recipe": recipe.choice}) == made


def test_operation_names_are_unique() -> None:
    names = [operation["operationId"] for _, operation in OPERATIONS.values()]
    assert len(names) == len(set(names))


@every_operation
def test_every_parameter_is_described(path: str, operation: dict[str, Any]) -> None:
    assert all(parameter.get("description") for parameter in operation.get("parameters", []))


@every_operation
def test_every_operation_says_who_may_use_it_and_how_it_refuses(path: str, operation: dict[str, Any]) -> None:
    statuses = set(operation["responses"])
    if path in OPEN:
        assert "security" not in operation
    else:
        assert {scheme for entry in operation["security"] for scheme in entry} <= GUARDED
        assert {"401", "503"} <= statuses
    if "{" in path:
        assert {"404", "422"} <= statuses
    if "application/json" in operation.get("requestBody", {}).get("content", {}):
        assert {"400", "413", "422"} <= statuses
    if {"operator"} in [set(entry) for entry in operation.get("security", [])]:
        assert "403" in statuses


def test_whatever_a_participant_may_do_it_may_sign() -> None:
    ways = {name: operation.get("security", []) for name, (_, operation) in OPERATIONS.items()}
    by_token = {name for name, either in ways.items() if {"participant": []} in either}
    signed = {name for name, either in ways.items() if {"participant": [], "signature": []} in either}
    assert by_token == signed != set()
    assert DOCUMENT["components"]["securitySchemes"]["signature"]["name"] == "Signature"


@every_operation
def test_every_refusal_is_a_problem_document(path: str, operation: dict[str, Any]) -> None:
    for status, response in operation["responses"].items():
        assert response["description"]
        if status.startswith(("4", "5")):
            assert list(response["content"]) == [PROBLEM_MEDIA_TYPE]


SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]


def description(field: dict[str, Any]) -> str:
    """Its own, or that of the message that it holds: the framework does not say the same words twice."""
    held = SCHEMAS.get(field.get("$ref", "").rpartition("/")[2], {})
    return str(field.get("description") or held.get("description") or "")


def test_every_field_of_every_message_is_described() -> None:
    fields = [(name, field) for name, schema in SCHEMAS.items() for field in schema.get("properties", {})]
    assert [(name, field) for name, field in fields if not description(SCHEMAS[name]["properties"][field])] == []


def test_every_message_is_described() -> None:
    assert [name for name, schema in SCHEMAS.items() if not schema.get("description")] == ["JsonValue"]  # any JSON


def test_the_statuses_of_all_domain_errors_are_documented_somewhere() -> None:
    documented = {int(status) for _, operation in OPERATIONS.values() for status in operation["responses"]}
    assert set(problems.STATUS.values()) <= documented


def test_the_page_of_the_protocol_names_real_routes() -> None:
    page = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
    for route in (
        "/v1/enrolments",
        "/v1/tokens",
        "/v1/task",
        "/v1/check-ins",
        "/v1/assignments/{assignment_id}/report",
    ):
        assert f"{route}`" in page
        assert route in DOCUMENT["paths"]


# ---- the service does what the document says -----------------------------------------------------------

schemathesis.openapi.media_type(
    codec.MEDIA_TYPE, st.one_of(st.binary(max_size=200), st.just(codec.encode(report_of([[1, 2], [3, 4]]))))
)
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]


@pytest.fixture(scope="module")
def world(postgres: LocalPostgres, migrated_template: str) -> Iterator[World]:
    world = World(create_database(postgres.url, "aggregator_contract", template=migrated_template))
    yield world
    world.stop()


@pytest.fixture(scope="module")
def credentials(world: World) -> dict[str, str]:
    task = world.task()
    return {
        "participant": task.device().token,
        "app": task.enrolment_key,
        "operator": world.secrets.aggregator_admin_key,
    }


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_service_answers_as_the_document_says(world: World, credentials: dict[str, str], name: str) -> None:
    method, _, path = name.partition(" ")
    schemes = [scheme for entry in OPERATIONS[name][1].get("security", []) for scheme in entry]
    headers = {"Authorization": f"Bearer {credentials[schemes[0]]}"} if schemes else {}

    @settings(max_examples=10, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(case=SCHEMA[path][method].as_strategy())
    def answers(case: Case[Any]) -> None:
        case.call_and_validate(base_url=world.aggregator_urls[0], headers=headers, checks=CHECKS)

    answers()
