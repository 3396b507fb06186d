"""The documentation at /docs: Swagger UI from files of our own, and an OpenAPI document that tells the truth."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from fedrec_protocol.problems import PROBLEM_MEDIA_TYPE, Problem

_ASSETS = Path(__file__).parent / "static" / "swagger-ui"
_FRAMEWORK_SCHEMAS = ("HTTPValidationError", "ValidationError")
_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'"
)

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<link rel="icon" href="docs/assets/favicon-32x32.png">
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
<div id="docs"></div>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script src="docs/assets/start.js"></script>
</html>
"""


def install(app: FastAPI) -> None:
    """Serve /docs without any other host, and correct what the framework documents about refusals.

    The application is made with `docs_url=None, redoc_url=None`.
    """
    page = _PAGE.format(title=app.title)

    def docs() -> HTMLResponse:
        return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})

    app.get("/docs", include_in_schema=False)(docs)
    app.mount("/docs/assets", StaticFiles(directory=_ASSETS))

    generate = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = corrected(generate())
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign] # the framework's own way to extend the document


def corrected(document: dict[str, Any]) -> dict[str, Any]:
    """The document with every refusal as application/problem+json, which is what the services send."""
    for path in document["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if status.startswith(("4", "5")):
                    response["content"] = {PROBLEM_MEDIA_TYPE: {"schema": _PROBLEM}}
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.setdefault("Problem", Problem.model_json_schema())
    for name in _FRAMEWORK_SCHEMAS:
        schemas.pop(name, None)
    return document
