"""The two families of errors that an app can meet: try again later, or do not try this again."""

from datetime import timedelta

from fedrec_protocol.problems import TITLE, Problem, Slug


class FedrecError(Exception):
    """What an app catches when it does not care which family it is."""


class Unavailable(FedrecError):
    """It cannot be done now: no network, an overloaded or absent service, a store in use. Try later.

    Attributes:
        retry_after: How long the service asked to wait; None when it did not say.
    """

    def __init__(self, detail: str, retry_after: timedelta | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Rejected(FedrecError):
    """It was refused, and the same again would be refused again.

    Attributes:
        problem: The problem document, from a service or, for a report that would have been refused,
            from the device itself.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.slug}: {problem.detail or problem.title}")
        self.problem = problem

    @property
    def slug(self) -> str:
        """The stable name of the problem, one of `fedrec_protocol.problems.Slug`."""
        return self.problem.slug


def rejected_here(slug: Slug, detail: str) -> Rejected:
    """A refusal by the device itself, in the words that the service would have used."""
    return Rejected(Problem(type=f"/problems/{slug}", title=TITLE[slug], status=422, detail=detail, slug=slug))
