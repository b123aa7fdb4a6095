"""The console as a person sees it: its process, and a real browser."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from deployed_stack import ROOT
from patience import patient
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
UNPACKED = ROOT / "build/browser/unpacked"
"""Where `make browser` puts Chromium if the system has none."""
WITHIN_MS = patient(30) * 1000
expect.set_options(timeout=WITHIN_MS)


@contextmanager
def running_console(stack: str, *options: str) -> Iterator[str]:
    """Start the console of a stack as a person does; yields the URL that it prints."""
    command = [sys.executable, "-m", "console", "--stack-name", stack, "--port", "0", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found is not None
            yield found[0]
        finally:
            process.terminate()
            process.wait(patient(20))


def executable() -> Path | None:
    """Return a Chromium: that of the variable CHROMIUM, one of the system, or the one of `make browser`."""
    given = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if given:
        return Path(given)
    return UNPACKED / "chromium" if (UNPACKED / "chromium").exists() else None


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser; without one the test is skipped, or fails where VISITCAST_TEST_BROWSER is `required`."""
    found = executable()
    if found is None:
        missing = "No Chromium was found. Install it, set CHROMIUM to its path, or run `make browser`."
        if os.environ.get("VISITCAST_TEST_BROWSER") == "required":
            pytest.fail(missing)
        pytest.skip(missing)
    libraries = {"LD_LIBRARY_PATH": str(UNPACKED / "al2023/lib")} if UNPACKED in found.parents else {}
    # Chromium's sandbox does not start as root, as in many a CI; only the project's own pages are opened.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=options, env={**os.environ, **libraries}, timeout=WITHIN_MS
        )
        yield browser
        browser.close()


def is_wrong(message: ConsoleMessage) -> bool:
    """Return whether a message is of an error, such as one of the content security policy.

    A form with errors is answered by 422, which the browser reports too.
    """
    return message.type == "error" and "status of 422" not in message.text


@contextmanager
def opened(browser: Browser, url: str, width: int = 1600, theme: str = "light") -> Iterator[Page]:
    """Open the console in a fresh profile; what the page itself reports as wrong fails the test."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if theme == "dark" else "light",
        base_url=url.partition("/?")[0],
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.set_default_timeout(WITHIN_MS)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if is_wrong(message) else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(url)
    yield page
    context.close()
    assert wrong == []
