"""The console as a test drives it."""

from __future__ import annotations

from pathlib import Path

from starlette.testclient import TestClient

from console.application import application
from console.pages.rendering import Settings

PORT, TOKEN = 4610, "the-token"
ORIGIN = f"http://127.0.0.1:{PORT}"
ROOT = Path(__file__).resolve().parents[2]


def browser(*, allow_runs: bool = False, entered: bool = True) -> TestClient:
    """A client that behaves as a browser at the console's address does."""
    app = application(Settings("visitcast-test", allow_runs, ROOT / "statemachine"), PORT, TOKEN)
    found = TestClient(app, base_url=ORIGIN, follow_redirects=False)
    if entered:
        assert found.get("/", params={"token": TOKEN}).status_code == 303
    return found
