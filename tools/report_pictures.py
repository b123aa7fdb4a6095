"""Take the pictures of the report of an evaluation that the documents show.

Usage: python tools/report_pictures.py docs/reports/real-events.html docs/images/report
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from console_pictures import Theme, write
from playwright.sync_api import sync_playwright

SHOTS: tuple[tuple[str, int, int, Theme], ...] = (
    ("verdict", 1280, 1000, "light"),
    ("hours", 1280, 860, "light"),
    ("visits", 1280, 860, "dark"),
    ("verdict", 390, 844, "dark"),
)
"""Section, width, height and theme."""


def main(report: str, folder: str) -> int:
    """Write the pictures into a folder."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        for section, width, height, theme in SHOTS:
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme)
            page.goto(f"{Path(report).resolve().as_uri()}" + ("" if section == "verdict" else f"#{section}"))
            write(page.screenshot(), place / f"{section}-{width}-{theme}.png")
        browser.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
