"""The registry's OpenAPI document: complete, and what the server does."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate
from schemathesis import Case
from schemathesis.checks import positive_data_acceptance

from fedrec.local.postgres import LocalPostgres
from fedrec_protocol import codec
from services.model_registry.app import create_app
from services.model_registry.settings import Settings
from tests.databases import create_database, drop_database
from tests.integration.registry.support import ADMIN_KEY, PEPPER, KeyServer, served, settings_for, weights

METHODS = ("get", "put", "post", "delete", "head")
HEADERS = {"Authorization": f"Bearer {ADMIN_KEY}"}
schemathesis.openapi.media_type(codec.MEDIA_TYPE, st.one_of(st.binary(), st.just(weights(1))))


def make_document() -> dict[str, Any]:
    """The document, which needs no database."""
    app = create_app(Settings(database_url="postgresql+psycopg://", key_pepper=PEPPER, jwks_url="http://127.0.0.1:9"))
    return app.openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield f"{method} {path}", item[method]


# What a schema cannot say: a digest must be that of the body, and JSON must hold no NUL character.
BEYOND_SCHEMA = {"put /v1/weights/{digest}", "post /v1/models/{model}/versions"}

DOCUMENT = make_document()
OPERATIONS = [name for name, _ in operations(DOCUMENT)]
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)


@pytest.fixture(scope="module")
def url(postgres: LocalPostgres, migrated_template: str) -> Iterator[str]:
    keys = KeyServer()
    database_url = create_database(postgres.url, "registry_contract", template=migrated_template)
    with served(create_app(settings_for(database_url, keys))) as url:
        httpx.post(
            f"{url}/v1/models", headers=HEADERS, json={"name": "films"}, timeout=60, trust_env=False
        ).raise_for_status()
        yield url
    keys.stop()
    drop_database(postgres.url, "registry_contract")


def test_the_document_is_valid_openapi() -> None:
    validate(DOCUMENT)


def test_every_group_of_operations_is_described() -> None:
    groups = {tag for _, operation in operations(DOCUMENT) for tag in operation["tags"]}
    assert {tag["name"] for tag in DOCUMENT["tags"] if tag["description"]} == groups


def test_every_operation_is_described_and_names_its_refusals() -> None:
    for name, operation in operations(DOCUMENT):
        assert operation["summary"], name
        assert operation["description"], name
        assert operation["tags"], name
        assert operation["operationId"].isalnum(), name
        for parameter in operation.get("parameters", []):
            assert parameter["description"], (name, parameter["name"])
        if "/v1/" in name:
            assert operation["security"], name
            assert "401" in operation["responses"], name
            assert "503" in operation["responses"], name


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for _, operation in operations(DOCUMENT)]
    assert len(ids) == len(set(ids))


def test_every_field_of_every_message_is_described() -> None:
    undescribed = [
        f"{name}.{field}"
        for name, schema in DOCUMENT["components"]["schemas"].items()
        for field, details in schema.get("properties", {}).items()
        if "description" not in details
    ]
    assert undescribed == []


@pytest.mark.parametrize("path", OPERATIONS)
def test_the_server_answers_as_the_document_says(url: str, path: str) -> None:
    method, _, template = path.partition(" ")
    operation = SCHEMA[template][method]
    excluded = [positive_data_acceptance] if path in BEYOND_SCHEMA else []

    @settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def answers(case: Case[Any]) -> None:
        case.call_and_validate(base_url=url, headers=HEADERS, excluded_checks=excluded)

    answers()
