"""Settings from the environment: what is refused, and that secrets are not repeated."""

import pytest

from services.aggregator.settings import Settings
from services.model_registry.settings import Settings as RegistrySettings

SECRET = "q" * 43
COMPLETE = {
    "DATABASE_URL": "postgresql+psycopg://fedrec:hunter2@db/fedrec",
    "DEPLOYMENT_KEY": SECRET,
    "KEY_PEPPER": SECRET,
    "REGISTRY_URL": "http://registry:8000",
    "REGISTRY_KEY": f"fo_{SECRET}",
}


@pytest.fixture(autouse=True)
def complete(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in COMPLETE.items():
        monkeypatch.setenv(f"FEDREC_AGGREGATOR_{name}", value)


def refusal() -> str:
    with pytest.raises(SystemExit) as refused:
        Settings.read()
    return str(refused.value)


def test_a_value_is_read_by_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDREC_AGGREGATOR_RETENTION__RECEIPT_DAYS", "30")
    monkeypatch.setenv("FEDREC_AGGREGATOR_LOG_LEVEL", "DEBUG")
    settings = Settings.read()
    assert (settings.retention.receipt_days, settings.log_level) == (30, "DEBUG")


def test_every_variable_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in COMPLETE:
        monkeypatch.delenv(f"FEDREC_AGGREGATOR_{name}")
    named = {line.partition(":")[0] for line in refusal().splitlines()[:-1]}
    assert named == {f"FEDREC_AGGREGATOR_{name}" for name in COMPLETE}


@pytest.mark.parametrize("name", ["REQUIRE_SIGNED_REQUEST", "RETENTION__RECIEPT_DAYS", "RATES__APPS__BRUST"])
def test_a_misspelt_setting_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"FEDREC_AGGREGATOR_{name}", "1")
    assert f"FEDREC_AGGREGATOR_{name}" in refusal()


def test_variables_of_the_command_line_are_nobodys_misspelling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDREC_REGISTRY_URL", "http://127.0.0.1:8001")
    monkeypatch.setenv("FEDREC_REGISTRY_DATABASE_URL", "postgresql+psycopg://db/fedrec")
    monkeypatch.setenv("FEDREC_REGISTRY_KEY_PEPPER", SECRET)
    monkeypatch.setenv("FEDREC_REGISTRY_JWKS_URL", "http://aggregator:8000/.well-known/jwks.json")
    assert RegistrySettings.read().jwks_url.startswith("http://aggregator")


@pytest.mark.parametrize("name", ["DEPLOYMENT_KEY", "BOOTSTRAP_ADMIN_KEY", "PREVIOUS_DEPLOYMENT_KEYS", "LOG_LEVEL"])
def test_a_refused_value_is_not_repeated_and_neither_are_the_others(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"FEDREC_AGGREGATOR_{name}", "nearly-the-secret")
    words = refusal()
    assert name in words.upper()
    assert not any(secret in words for secret in ("nearly-the-secret", SECRET, "hunter2"))


def test_settings_do_not_write_out_what_they_hold() -> None:
    settings = Settings.read()
    assert (repr(settings), str(settings)) == ("Settings()", "")
