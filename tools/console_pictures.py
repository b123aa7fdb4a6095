"""Take the pictures of docs/console.md from a console that runs.

Usage: python tools/console_pictures.py "http://127.0.0.1:4610/?token=..." docs/images/console
"""

from __future__ import annotations

import io
import os
import shutil
import sys
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Page, sync_playwright

Theme = Literal["light", "dark"]
SHOTS: tuple[tuple[int, int, Theme], ...] = ((1600, 1000, "light"), (390, 844, "dark"))
"""Width, height and theme of the pictures of each page."""
OTHER_SHOTS: tuple[tuple[int, int, Theme], ...] = ((1600, 1000, "dark"), (390, 844, "light"))
"""The same of the page of a run alone, so that every width is there in both themes."""
COLOURS = 96
WITHIN_MS = 120_000


def main(url: str, folder: str) -> int:
    """Write the pictures into a folder."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        for width, height, theme in (*SHOTS, *OTHER_SHOTS):
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=theme,
                reduced_motion="reduce",
                base_url=url.partition("/?")[0],
            )
            page = context.new_page()
            page.set_default_timeout(WITHIN_MS)
            page.goto(url)
            addresses = pages(page)
            if (width, height, theme) in OTHER_SHOTS:
                addresses = {"run": addresses["run"]}
            for name, address in addresses.items():
                page.goto(address)
                write(page.screenshot(), place / f"{name}-{width}-{theme}.png")
                if name == "plan":
                    show_what_if(page)
                    write(page.screenshot(), place / f"what-if-{width}-{theme}.png")
            context.close()
        browser.close()
    return 0


def show_what_if(page: Page) -> None:
    """Change two rules on the page of a plan and wait for the plan that they would make."""
    window = page.get_by_role("group", name="Send window, local")
    window.get_by_label("From").fill("9")
    window.get_by_label("Until").fill("20")
    page.get_by_label("Largest share of the users in an hour").fill("0.06")
    page.get_by_text("Nothing is sent or stored").wait_for()
    page.locator('#what-if-outcome:not([aria-busy="true"])').wait_for()
    page.locator("#what-if-title").evaluate("title => scrollTo(0, title.getBoundingClientRect().top + scrollY - 24)")


def pages(page: Page) -> dict[str, str]:
    """Return the addresses of the pages by the names of the pictures: of runs the latest training that succeeded."""
    page.goto("/runs")
    succeeded = page.locator("#runs tr", has=page.locator(".status.good"), has_text="Training").locator("a").first
    run = succeeded.get_attribute("href") or ""
    page.goto("/forecasts")
    user = page.locator(".picks a").nth(3).get_attribute("href") or ""
    return {
        "runs": "/runs",
        "run": run,
        "start": "/start/train",
        "model": "/model",
        "forecasts": user,
        "plan": "/plan",
        "lift": "/lift",
    }


def write(png: bytes, path: Path) -> None:
    """Write a picture with few colours: a quarter of the size, and nobody sees it."""
    Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
