"""The dashboard: one page that shows what the API says.

The page itself holds no data: the operator's key, typed into it, fetches what it shows.
"""

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

_FOLDER = Path(__file__).parents[1] / "static" / "dashboard"
_POLICY = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'"


def install(app: FastAPI) -> None:
    """Serve /dashboard and its files, from no other host."""
    page = (_FOLDER / "index.html").read_text(encoding="utf-8")

    async def dashboard() -> HTMLResponse:
        return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})

    app.get("/dashboard", include_in_schema=False)(dashboard)
    app.mount("/dashboard/assets", StaticFiles(directory=_FOLDER))
