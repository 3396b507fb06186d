"""Whether the process lives (/healthz), and whether it should get requests (/readyz)."""

from collections.abc import Callable, Mapping
from typing import Literal

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from fedrec_protocol.base import Response as Answer
from fedrec_protocol.problems import Slug
from services.kit.observation import request_id
from services.kit.problems import documented, problem_response

log = structlog.get_logger(__name__)


class Health(Answer):
    """The service answers."""

    status: Literal["ok"] = "ok"
    """Always `ok`; what fails answers with a problem document."""


def install(app: FastAPI, checks: Mapping[str, Callable[[], object]]) -> None:
    """Add the two routes; a check is a function that raises when what it names cannot be used."""

    async def healthz() -> Health:
        """Answers as long as the process does; it looks at nothing else."""
        return Health()

    def readyz(request: Request) -> Response:
        """Answers 200 when everything that requests need is there."""
        for name, check in checks.items():
            try:
                check()
            except Exception as error:
                log.warning("not ready", check=name, error=f"{type(error).__name__}: {error}")
                return problem_response(
                    503, Slug.UNAVAILABLE, f"{name} cannot be used now", request_id=request_id(request)
                )
        return JSONResponse(Health().model_dump())

    app.get("/healthz", tags=["operation"], operation_id="getHealth", summary="Is it alive?")(healthz)
    app.get(
        "/readyz",
        tags=["operation"],
        operation_id="getReadiness",
        summary="Can it serve?",
        response_model=Health,
        responses=documented(503),
    )(readyz)
