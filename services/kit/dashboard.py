"""Dashboards: a page of each service that shows what its API says, and does what its API offers.

A page itself holds no data: the operator's key, typed into it, fetches what it shows.
"""

import html
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

SHARED = Path(__file__).parent / "static" / "dashboard"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)


def install(app: FastAPI, folder: Path, *, other_service: str | None) -> None:
    """Serve /dashboard and its files, from no other host.

    Args:
        app: The service.
        folder: The page, `index.html`, and its script.
        other_service: Address of the other service, to whose dashboard the page links; None hides the link.
    """
    other_page = "" if other_service is None else f"{other_service.rstrip('/')}/dashboard"
    page = (folder / "index.html").read_text(encoding="utf-8").replace("{other_page}", html.escape(other_page))

    async def dashboard() -> HTMLResponse:
        return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})

    app.get("/dashboard", include_in_schema=False)(dashboard)
    app.mount("/dashboard/assets", StaticFiles(directory=folder))
    app.mount("/dashboard/shared", StaticFiles(directory=SHARED))
