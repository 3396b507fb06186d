"""The aggregator's public keys: fetched when needed, and no more often."""

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.kit import access_tokens
from services.model_registry.api.token_keys import MAXIMUM_AGE_SECONDS, MINIMUM_AGE_SECONDS, TokenKeys
from services.model_registry.domain.errors import Unauthenticated, Unavailable
from tests.integration.registry.support import NOON, KeyServer


class Seconds:
    """A monotonic clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> Iterator[KeyServer]:
    server = KeyServer()
    yield server
    server.stop()


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def keys(server: KeyServer, seconds: Seconds) -> TokenKeys:
    return TokenKeys(server.url, monotonic=seconds)


def strange_token() -> str:
    return access_tokens.issue(access_tokens.Participant("c", "t", "m"), Ed25519PrivateKey.generate(), NOON)


def test_keys_are_fetched_once_for_many_tokens(server: KeyServer, keys: TokenKeys) -> None:
    for _ in range(5):
        token = server.token("films")
        assert access_tokens.verify(token, keys.for_token(token), NOON).model == "films"
    assert server.asked == 1


def test_a_new_key_is_found_as_soon_as_a_token_names_it(server: KeyServer, keys: TokenKeys, seconds: Seconds) -> None:
    keys.for_token(server.token("films"))
    server.key = Ed25519PrivateKey.generate()
    seconds.now += MINIMUM_AGE_SECONDS
    token = server.token("films")
    assert access_tokens.verify(token, keys.for_token(token), NOON).model == "films"


def test_invented_keys_do_not_make_us_ask_the_aggregator_all_the_time(server: KeyServer, keys: TokenKeys) -> None:
    for _ in range(20):
        with pytest.raises(Unauthenticated):
            keys.for_token(strange_token())
    assert server.asked == 1


def test_a_withdrawn_key_is_forgotten(server: KeyServer, keys: TokenKeys, seconds: Seconds) -> None:
    withdrawn = server.token("films")
    keys.for_token(withdrawn)
    server.key = Ed25519PrivateKey.generate()
    seconds.now += MAXIMUM_AGE_SECONDS
    with pytest.raises(Unauthenticated):
        keys.for_token(withdrawn)


def test_known_keys_work_while_the_aggregator_is_down(server: KeyServer, keys: TokenKeys, seconds: Seconds) -> None:
    token = server.token("films")
    keys.for_token(token)
    server.is_up = False
    seconds.now += MAXIMUM_AGE_SECONDS
    assert access_tokens.verify(token, keys.for_token(token), NOON).model == "films"
    seconds.now += MINIMUM_AGE_SECONDS
    with pytest.raises(Unavailable):
        keys.for_token(strange_token())


@pytest.mark.parametrize("token", ["", "a.b.c", "not a token", "e30.e30.e30"])
def test_what_is_no_token_is_not_asked_about(server: KeyServer, keys: TokenKeys, token: str) -> None:
    with pytest.raises(Unauthenticated):
        keys.for_token(token)
    assert server.asked == 0
