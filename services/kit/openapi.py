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

_SIGNATURE = {
    "type": "apiKey",
    "in": "header",
    "name": "Signature",
    "description": "HTTP Message Signature (RFC 9421) with the device's Ed25519 key, beside `Signature-Input` and, "
    "with a body, `Content-Digest`. Needed where the access token came with `must_sign`, and refused without it as "
    '`signature-required`; elsewhere checked where it is sent. `Signature-Input: fedrec=("@method" "@path" '
    '"@query" "content-digest");created=1700000000;keyid="cli_...";alg="ed25519"`, without `@query` or '
    "`content-digest` where the request has no query or no body.",
}

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
    """Serve /docs without any other host, and say what the framework cannot about refusals and signatures.

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
    """The document with refusals as application/problem+json, and the signatures of participants' requests."""
    for path in document["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if status.startswith(("4", "5")):
                    response["content"] = {PROBLEM_MEDIA_TYPE: {"schema": _PROBLEM}}
            # Either the token alone or, in tasks that demand it, the token and a signature.
            if {"participant": []} in operation.get("security", []):
                operation["security"].append({"participant": [], "signature": []})
    document.setdefault("components", {}).setdefault("securitySchemes", {})["signature"] = _SIGNATURE
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.setdefault("Problem", Problem.model_json_schema())
    for name in _FRAMEWORK_SCHEMAS:
        schemas.pop(name, None)
    return document
