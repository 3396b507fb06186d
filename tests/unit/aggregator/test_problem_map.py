"""Every refusal of the domain has one HTTP status and one slug."""

from __future__ import annotations

from collections.abc import Iterator

from fedrec_protocol.problems import Slug
from services.aggregator.api import problems
from services.aggregator.domain.errors import AggregatorError, ReportRejected


def subclasses(error: type[Exception]) -> Iterator[type[Exception]]:
    for subclass in error.__subclasses__():
        yield subclass
        yield from subclasses(subclass)


def test_every_domain_error_has_an_http_status() -> None:
    assert problems.STATUS.keys() == set(subclasses(AggregatorError))


def test_every_domain_error_has_a_slug_and_words() -> None:
    for error in set(subclasses(AggregatorError)) - {ReportRejected}:
        assert Slug(getattr(error, "slug", ""))
        assert error.__doc__


def test_refusals_worth_a_retry_say_when() -> None:
    waits = {error for error, status in problems.STATUS.items() if status in {429, 503}}
    assert all(getattr(error, "retry_after_seconds", None) for error in waits)
