"""The pages that are files, in a real browser: what axe finds, what is too wide, what is asked of a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from console_browser import chromium
from deployed_stack import ROOT
from playwright.sync_api import Browser, Page
from test_training_report import HOSTILE, TEXT

from console.graphs import draw
from console.graphs.layouts import WORKFLOWS
from visitcast.events.report import Report, Verdict, as_page

VERDICTS = [
    Verdict(level, f"Headline {HOSTILE}", "Cause", "Remedy") for level in ("refused", "warning", "note", "good")
]
PAGES = {
    "evaluation": TEXT,
    "events": as_page(Report(f"/logs/{HOSTILE}.csv", {"Rows": "1,000", HOSTILE: HOSTILE}, list(range(24)), VERDICTS)),
}
LARGEST = 1_000_000
"""Bytes of a page."""
PAPER = 688
"""CSS pixels between the margins of A4."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@contextmanager
def opened(browser: Browser, file: Path, width: int, theme: Literal["light", "dark"] = "light") -> Iterator[Page]:
    """Open a file; an error, a request or a dialog fails the test."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.on("request", lambda request: wrong.append(request.url) if request.url != file.as_uri() else None)
    page.goto(file.as_uri())
    yield page
    context.close()
    assert wrong == []


@pytest.fixture(scope="module", params=PAGES)
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("pages") / f"{request.param}.html"
    found.write_text(PAGES[request.param], encoding="utf-8")
    return found


@pytest.mark.parametrize(("width", "theme"), [(390, "dark"), (1280, "light")])
def test_axe_finds_nothing(browser: Browser, file: Path, width: int, theme: Literal["light", "dark"]) -> None:
    with opened(browser, file, width, theme) as page:
        found = Axe().run(page).response["violations"]
        assert [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found] == []


@pytest.mark.parametrize("width", [390, 1280, 1600])
def test_nothing_is_wider_than_the_window(browser: Browser, file: Path, width: int) -> None:
    """On a telephone wide tables scroll within themselves, and a key reaches them."""
    with opened(browser, file, width) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == width
        scrolling = page.locator(".scroll").evaluate_all(
            "all => all.filter(one => one.scrollWidth > one.clientWidth).length"
        )
        assert width == 390 or not scrolling
        assert page.locator(".scroll:not([tabindex='0'])").count() == 0


def test_no_table_is_cut_on_paper(browser: Browser, file: Path) -> None:
    with opened(browser, file, PAPER, "dark") as page:
        page.emulate_media(media="print", color_scheme="dark")
        ends = page.evaluate(
            "[...document.querySelectorAll('table, svg')].map(one => one.getBoundingClientRect().right)"
        )
        assert max(ends) <= PAPER
        assert page.evaluate("getComputedStyle(document.body).colorScheme") == "light"
        assert page.pdf(format="A4").startswith(b"%PDF")


def test_keys_reach_the_sections(browser: Browser, file: Path) -> None:
    with opened(browser, file, 1280) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getAttribute('href')") == "#main"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize("text", PAGES.values(), ids=PAGES)
def test_a_page_is_small(text: str) -> None:
    assert len(text.encode()) < LARGEST


def test_the_committed_report_is_a_page_like_these(browser: Browser) -> None:
    committed = ROOT / "docs/reports/real-events.html"
    assert committed.stat().st_size < LARGEST
    with opened(browser, committed, 1280) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == 1280
        assert page.evaluate(
            "[...document.querySelectorAll('.scroll')].every(one => one.scrollWidth <= one.clientWidth)"
        )


OVERLAPS = """() => {
  const boxes = [...document.querySelectorAll("text")].map(one => [one.textContent, one.getBoundingClientRect()]);
  const rects = Object.fromEntries([...document.querySelectorAll(".state")].map(
    one => [one.dataset.state, one.querySelector("rect").getBoundingClientRect()]));
  const found = [];
  boxes.forEach(([text, box], number) => boxes.slice(number + 1).forEach(([other, its]) => {
    if (box.left < its.right && its.left < box.right && box.top + 2 < its.bottom && its.top + 2 < box.bottom)
      found.push([text, other]);
  }));
  for (const state of document.querySelectorAll(".state")) for (const line of state.querySelectorAll("text")) {
    const box = line.getBoundingClientRect(), around = rects[state.dataset.state];
    if (box.left < around.left || box.right > around.right) found.push([line.textContent, "its own box"]);
  }
  return found;
}"""


@pytest.mark.parametrize("workflow", [*WORKFLOWS, "another"])
def test_labels_of_a_state_graph_are_free_of_one_another(browser: Browser, tmp_path: Path, workflow: str) -> None:
    file = ROOT / f"docs/images/{workflow}.svg"
    if workflow == "another":
        states = {"Is it long enough to be broken?": {"Type": "Choice", "Default": "WWWWW MMMMM", "Choices": []}}
        states["WWWWW MMMMM"] = {"Type": "Task", "Resource": "r", "Next": "Is it long enough to be broken?"}
        file = tmp_path / "another.svg"
        file.write_text(draw({"StartAt": "WWWWW MMMMM", "States": states}), encoding="utf-8")
    with opened(browser, file, 1280) as page:
        assert page.evaluate(OVERLAPS) == []
