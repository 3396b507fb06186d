"""The container files, against the code they start: nothing here builds an image."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi import FastAPI
from pydantic_settings import BaseSettings

from fedrec.cli import app as command_line
from services.aggregator.settings import Settings as AggregatorSettings
from services.kit import health, serving
from services.model_registry.settings import Settings as RegistrySettings

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent
SETTINGS: dict[str, type[BaseSettings]] = {
    "registry": RegistrySettings,
    "aggregator": AggregatorSettings,
    "aggregator-worker": AggregatorSettings,
}
SERVICES = ("registry", "aggregator")
OURS = ("migrate", *SETTINGS)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "docker-compose.yml").read_text()))


@pytest.fixture(scope="module")
def dockerfile() -> list[list[str]]:
    """Instructions of the Dockerfile, split into words, continuation lines joined."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "docker" / "Dockerfile").read_text())
    return [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]


def make_env(path: Path) -> dict[str, str]:
    subprocess.run([ROOT / "docker" / "new-env", path], check=True)
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def substituted(value: object, variables: dict[str, str]) -> str:
    """A compose value with ${NAME}, ${NAME:?message} and ${NAME:-default} replaced."""

    def replacement(match: re.Match[str]) -> str:
        return variables.get(match["name"]) or (match["default"] or "")

    return re.sub(r"\$\{(?P<name>\w+)(?::\?[^}]*|:-(?P<default>[^}]*))?\}", replacement, str(value))


def environment_of(service: dict[str, Any], variables: dict[str, str]) -> dict[str, str]:
    """What the container sees; a name without a value is passed on from .env."""
    return {
        name: variables[name] if value is None else substituted(value, variables)
        for name, value in service["environment"].items()
    }


def test_the_dockerfile_passes_hadolint() -> None:
    subprocess.run([TOOLS / "hadolint", ROOT / "docker" / "Dockerfile"], check=True)


def test_the_compose_file_follows_the_compose_specification() -> None:
    validator, schema = TOOLS / "check-jsonschema", "vendor.compose-spec"
    subprocess.run([validator, "--builtin-schema", schema, ROOT / "docker-compose.yml"], check=True)


def test_base_images_are_pinned_to_a_version(compose: dict[str, Any], dockerfile: list[list[str]]) -> None:
    bases = {rest.split(" AS ")[0] for instruction, rest in dockerfile if instruction == "FROM"}
    assert bases == {"python:3.11.14-slim-bookworm"}
    assert re.fullmatch(r"postgres:\d+-\w+", compose["services"]["postgres"]["image"])


def test_everything_that_is_copied_exists_and_is_not_ignored(dockerfile: list[list[str]]) -> None:
    copied = [word for instruction, rest in dockerfile if instruction == "COPY" for word in rest.split()[:-1]]
    sources = [source for source in copied if not source.startswith(("--from", "/"))]
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert sources
    for source in sources:
        assert (ROOT / source).exists()
        assert source in let_in


def test_the_image_runs_as_an_unprivileged_user(dockerfile: list[list[str]]) -> None:
    last_stage = dockerfile[max(n for n, words in enumerate(dockerfile) if words[0] == "FROM") :]
    users = [rest for instruction, rest in last_stage if instruction == "USER"]
    assert users == ["10001:10001"]
    assert any(instruction == "RUN" and "useradd --uid 10001 " in rest for instruction, rest in last_stage)


def test_the_image_holds_no_torch_and_no_secret(dockerfile: list[list[str]]) -> None:
    installed = [rest for instruction, rest in dockerfile if instruction == "RUN" and "pip install" in rest]
    assert not [line for line in installed if "torch" in line or "[" in line]
    assert not [rest for instruction, rest in dockerfile if instruction == "ENV" and re.search("KEY|SECRET|PASS", rest)]
    assert ".env" not in (ROOT / ".dockerignore").read_text()


@pytest.mark.parametrize("name", OURS)
def test_our_containers_have_no_capability_and_a_read_only_root(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_started_by_a_command_that_exists(compose: dict[str, Any], name: str) -> None:
    python, flag, module, factory, *options = compose["services"][name]["command"]
    assert (python, flag, module) == ("python", "-m", serving.__name__)
    module_name, function = factory.split(":")
    assert callable(getattr(import_module(module_name), function))
    assert options == ["--host=0.0.0.0", "--port=8000"]


def test_the_image_s_own_command_is_the_aggregator_s(compose: dict[str, Any], dockerfile: list[list[str]]) -> None:
    (default,) = (rest for instruction, rest in dockerfile if instruction == "CMD")
    assert yaml.safe_load(default) == compose["services"]["aggregator"]["command"]


def test_the_worker_and_the_migration_are_started_by_commands_that_exist(compose: dict[str, Any]) -> None:
    assert compose["services"]["aggregator-worker"]["command"] == ["python", "-m", "services.aggregator.worker"]
    assert callable(import_module("services.aggregator.worker").main)
    program, command = compose["services"]["migrate"]["command"]
    assert program == "fedrec"
    assert command in {
        registered.callback.__name__ for registered in command_line.registered_commands if registered.callback
    }


@pytest.mark.parametrize(("name", "settings"), SETTINGS.items())
def test_generated_secrets_and_the_compose_file_make_valid_settings(
    compose: dict[str, Any], name: str, settings: type[BaseSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = str(settings.model_config["env_prefix"])
    environment = environment_of(compose["services"][name], make_env(tmp_path / "env"))
    known = {prefix + field.upper() for field in settings.model_fields}
    assert environment.keys() <= known
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    settings()


def test_the_aggregator_and_the_registry_agree_on_the_aggregator_s_key(compose: dict[str, Any], tmp_path: Path) -> None:
    variables = make_env(tmp_path / "env")
    registry, aggregator = (environment_of(compose["services"][name], variables) for name in SERVICES)
    assert registry["FEDREC_REGISTRY_BOOTSTRAP_RUN_KEY"] == aggregator["FEDREC_AGGREGATOR_REGISTRY_KEY"]
    assert registry["FEDREC_REGISTRY_DATABASE_URL"] == aggregator["FEDREC_AGGREGATOR_DATABASE_URL"]


def test_addresses_between_containers_name_services_and_their_ports(compose: dict[str, Any], tmp_path: Path) -> None:
    services, variables = compose["services"], make_env(tmp_path / "env")
    registry, aggregator = (environment_of(services[name], variables) for name in SERVICES)
    assert registry["FEDREC_REGISTRY_JWKS_URL"] == "http://aggregator:8000/.well-known/jwks.json"
    assert aggregator["FEDREC_AGGREGATOR_REGISTRY_URL"] == "http://registry:8000"
    published = re.search(r":(\d+):8000$", services["registry"]["ports"][0])
    assert published
    assert aggregator["FEDREC_AGGREGATOR_PUBLIC_REGISTRY_URL"] == f"http://127.0.0.1:{published[1]}"
    assert registry["FEDREC_REGISTRY_PUBLIC_AGGREGATOR_URL"] == "http://127.0.0.1:8000"


def test_ports_are_published_on_loopback_only(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", ()))


@pytest.mark.parametrize("name", SERVICES)
def test_the_health_check_asks_a_route_that_the_service_has(compose: dict[str, Any], name: str) -> None:
    kind, *command = compose["services"][name]["healthcheck"]["test"]
    assert kind == "CMD"
    asked = re.search(r"http://127\.0\.0\.1:8000(/\w+)", shlex.join(command))
    assert asked
    app = FastAPI()
    health.install(app, {})
    assert app.url_path_for("readyz") == asked[1]


def test_services_wait_for_the_migration_and_that_for_postgres(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    for name in SETTINGS:
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


def test_no_secret_has_a_default(compose: dict[str, Any]) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for name, default in re.findall(r"\$\{(\w+):-([^}]*)\}", text):
        assert not re.search("KEY|PASSWORD|PEPPER", name), f"{name} defaults to {default}"
    example = (ROOT / ".env.example").read_text()
    assert not re.search(r"^\w*(KEY|PASSWORD|PEPPER)=.", example, re.MULTILINE)


def test_every_variable_of_the_compose_file_is_explained_in_the_example(compose: dict[str, Any]) -> None:
    used = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    passed_on = {
        name
        for service in compose["services"].values()
        for name, value in service.get("environment", {}).items()
        if value is None
    }
    explained = set(re.findall(r"^#?(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert explained == used | passed_on


def test_a_new_env_file_is_private_and_never_overwritten(tmp_path: Path) -> None:
    make_env(tmp_path / "env")
    assert (tmp_path / "env").stat().st_mode & 0o777 == 0o600
    again = subprocess.run([ROOT / "docker" / "new-env", tmp_path / "env"], check=False, capture_output=True)
    assert again.returncode != 0


def test_data_lives_in_named_volumes(compose: dict[str, Any]) -> None:
    mounted = [
        volume.split(":")[0] for service in compose["services"].values() for volume in service.get("volumes", ())
    ]
    assert set(mounted) == set(compose["volumes"])
    # Since version 18 the image keeps each major version's cluster below this directory.
    assert compose["services"]["postgres"]["volumes"] == ["postgres-data:/var/lib/postgresql"]
