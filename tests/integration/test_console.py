"""The console in a real browser, against the deployed stack: what a person would do, and what axe finds."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from console_browser import chromium, opened, running_console
from deployed_stack import STACK_NAME, WITHIN_SECONDS, Production, Stack
from playwright.sync_api import Browser, Page, expect

MARKUP = "<img src=x onerror=alert(1)>\"'&amp;"
"""Id of a user in the audience."""
# After the dates of all other tests of this stack: the users of a date are known on later ones.
PAST = {"ForecastDate": "2026-11-22", "AsOf": "2026-11-21T16:00:00Z"}
LATER = {"ForecastDate": "2026-11-25", "AsOf": "2026-11-24T16:00:00Z"}
LONG = WITHIN_SECONDS * 1000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def name() -> str:
    return os.environ.get("VISITCAST_TEST_STACK", STACK_NAME)


@pytest.fixture(scope="module")
def url(browser: Browser, stack: Stack, production: Production, name: str) -> Iterator[str]:
    """A console that may start runs, of a stack with a model in production."""
    with running_console(name, "--allow-runs") as found:
        yield found


@pytest.fixture(scope="module")
def forecasts(stack: Stack, production: Production) -> None:
    """Forecasts of two dates: when the second one is made, the sends of the first are over."""
    key = "uploads/console-audience.csv"
    quoted = MARKUP.replace('"', '""')
    stack.s3.put_object(Bucket=stack.bucket, Key=key, Body=f'user_id,platform\n"{quoted}",web\n'.encode())
    for date in (PAST, LATER):
        done = stack.run_forecast({**date, "AudienceUri": f"s3://{stack.bucket}/{key}"})
        assert done.status == "SUCCEEDED", done.cause


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    with opened(browser, url) as found:
        yield found


def test_a_run_is_started_in_the_form_watched_to_its_end_approved_and_rolled_back(page: Page, stack: Stack) -> None:
    before = len(
        stack.sagemaker.list_model_packages(ModelPackageGroupName=stack.outputs["ModelPackageGroupName"])[
            "ModelPackageSummaryList"
        ]
    )
    page.get_by_role("link", name="Train a model").click()
    page.get_by_label("Hyperparameters").fill("{units: 8}")
    page.get_by_role("button", name="Start the run").click()
    expect(page.get_by_label("Hyperparameters")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("alert")).to_contain_text("Nothing was started.")
    page.get_by_label("Hyperparameters").fill('{"epochs": 3, "units": 8}')
    page.locator("summary", has_text=re.compile(r"^\s*Gate")).click()
    page.get_by_label("global_histogram").uncheck()
    page.get_by_label("NonInferiorityMarginNats").fill("1")
    page.get_by_label("KeptLeadShare").fill("0")
    page.locator("summary", has_text=re.compile(r"^\s*Approval")).click()
    page.get_by_label("Required").select_option("yes")
    page.get_by_role("button", name="Start the run").click()

    # The page changes by itself from here on.
    page.wait_for_url(re.compile("/runs/train/"))
    execution = page.url.rpartition("/")[2]
    arn = stack.outputs["TrainStateMachineArn"].replace(":stateMachine:", ":execution:") + f":{execution}"
    given = json.loads(stack.step_functions.describe_execution(executionArn=arn)["input"])
    assert given["Hyperparameters"] == {"epochs": 3, "units": 8}
    assert given["Gate"] == {"MustBeat": [], "NonInferiorityMarginNats": 1, "KeptLeadShare": 0}
    train = page.locator('g[data-state="Train"]')
    expect(train).to_have_class(re.compile("running"), timeout=LONG)
    expect(page.locator("#lines")).to_contain_text("epoch=1/3", timeout=LONG)
    expect(page.get_by_role("img", name=re.compile("Validation log loss"))).to_be_visible(timeout=LONG)
    expect(page.locator("#head .status").first).to_have_text("succeeded", timeout=LONG)
    expect(train).to_have_class(re.compile("succeeded"))
    expect(page.locator('[data-row="Train"]')).to_contain_text("visitcast-train-")

    page.get_by_role("link", name="Model", exact=True).click()
    version = before + 1
    head = page.locator("thead th", has_text=f"Version {version}").first
    expect(head).not_to_contain_text("production")
    page.locator(f'form[action="/model/{version}/approve"] button').click()
    expect(head).to_contain_text("production")
    # Approving has started its deployment; the list of runs shows it as soon as it begins.
    page.get_by_role("link", name="Runs", exact=True).click()
    newest = page.locator("#runs tr").first
    expect(newest.get_by_role("link")).not_to_have_attribute("href", f"/runs/train/{execution}", timeout=LONG)
    expect(newest.locator(".status")).to_have_text("succeeded", timeout=LONG)
    page.get_by_role("link", name="Model", exact=True).click()
    page.locator('form[action$="/roll-back"] button').first.click()
    page.wait_for_url(re.compile("/runs/train/"))
    expect(page.locator("#head .status").first).to_have_text("succeeded", timeout=LONG)
    page.get_by_role("link", name="Model", exact=True).click()
    expect(head).not_to_contain_text("production")
    expect(page.get_by_text(re.compile("Rolled back to version"))).to_be_visible()


def test_a_run_is_stopped(page: Page) -> None:
    page.get_by_role("link", name="Train a model").click()
    page.get_by_role("button", name="Start the run").click()
    page.wait_for_url(re.compile("/runs/train/"))
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#head .status").first).to_have_text("stopped", timeout=LONG)


def test_an_input_that_the_workflow_rejects_shows_why(page: Page, stack: Stack) -> None:
    page.goto("/start/train")
    page.get_by_label("ModelVersion").fill("999")
    page.get_by_role("button", name="Start the run").click()
    expect(page.locator("#head .status").first).to_have_text("failed", timeout=LONG)
    expect(page.get_by_role("alert")).to_contain_text("999")
    expect(page.locator('li[data-state="Input rejected"]')).to_have_class(re.compile("failed"))


@pytest.mark.usefixtures("forecasts")
def test_a_user_is_found(page: Page) -> None:
    page.get_by_role("link", name="Forecasts", exact=True).click()
    page.get_by_label("Date").select_option(LATER["ForecastDate"])
    page.get_by_role("searchbox", name="User").fill("0000002")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name="user-0000002").first.click()
    expect(page.get_by_role("heading", name="user-0000002")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Chance of a visit in each local hour"))).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Page views of each day"))).to_be_visible()
    expect(page.get_by_role("rowheader", name=re.compile("Recent habit"))).to_be_visible()


@pytest.mark.usefixtures("forecasts")
def test_an_id_with_markup_in_it_is_text(page: Page) -> None:
    page.goto("/forecasts?date=" + LATER["ForecastDate"])
    page.get_by_role("searchbox", name="User").fill("onerror")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("heading", name=MARKUP)).to_be_visible()
    expect(page.get_by_text("never came", exact=True)).to_be_visible()
    assert page.locator("main img").count() == 0


@pytest.mark.usefixtures("forecasts")
def test_the_plan_says_what_its_picture_shows(page: Page) -> None:
    page.get_by_role("link", name="Plan", exact=True).click()
    page.get_by_label("Plan", exact=True).select_option(f"{LATER['ForecastDate']} daily")
    page.wait_for_url(re.compile("of="))
    planned = int(page.locator("dt", has_text="Pushes planned").locator("+ dd").inner_text().replace(",", ""))
    page.get_by_text("The same as a table").click()
    cells = page.locator("table tbody tr td:nth-child(3)").all_inner_texts()
    assert sum(map(int, cells)) == planned > 0


@pytest.mark.usefixtures("forecasts")
def test_another_rule_shows_what_the_plan_would_be(page: Page) -> None:
    page.goto(f"/plan?date={LATER['ForecastDate']}&campaign=daily")
    planned = page.locator("dt", has_text="Pushes planned").locator("+ dd").inner_text()
    rows = page.get_by_role("region", name="The plan and what it would be").get_by_role("row")
    pushes = rows.filter(has_text="Pushes").get_by_role("cell")
    page.get_by_label("Minimum gap, hours").press("ArrowUp")
    page.get_by_label("Minimum gap, hours").press("ArrowDown")
    expect(pushes).to_have_text([planned, planned, "0"])
    group = page.get_by_role("group", name="Send window, local")
    group.get_by_label("From").fill("10")
    group.get_by_label("Until").fill("12")
    picture = page.get_by_role("img", name=re.compile("as planned and with these rules"))
    expect(rows.filter(has_text="Visits expected").get_by_role("cell").last).to_have_text(re.compile("\N{MINUS SIGN}"))
    # Every user lives in one of a few zones, and each has only these two hours.
    hours = re.findall(r"\d\d:00 \d+ and (\d+)", picture.get_attribute("aria-label") or "")
    assert 0 < sum(map(int, hours)) == int(pushes.nth(1).inner_text().replace(",", ""))
    group.get_by_label("From").fill("77")
    expect(page.locator("#what-if-outcome")).to_contain_text("at most 23")
    expect(page.get_by_text("Nothing is sent or stored")).to_have_count(0)


@pytest.mark.usefixtures("forecasts")
def test_the_lift_has_the_arms_and_their_shares(page: Page) -> None:
    page.get_by_role("link", name="Lift", exact=True).click()
    arms = page.get_by_role("region", name="Table of the arms").get_by_role("rowheader").all_inner_texts()
    assert {"best_hour", "no_push"} <= set(arms)
    expect(page.locator(".verdict .lead")).not_to_be_empty()


PAGES = ("/runs", "/model", "/start/train", "/start/forecast", "/forecasts", "/plan", "/lift")


@pytest.mark.usefixtures("forecasts")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1600])
def test_axe_finds_nothing_and_no_page_is_wider_than_the_window(
    browser: Browser, url: str, width: int, theme: str
) -> None:
    with opened(browser, url, width, theme) as page:
        run = page.locator("#runs a").first.get_attribute("href") or ""
        for path in (*PAGES, run, f"/forecasts?date={LATER['ForecastDate']}&user=user-0000002"):
            page.goto(path)
            found = Axe().run(page).response["violations"]
            assert [(path, one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found] == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_read_only_offers_nothing_that_changes_anything(browser: Browser, url: str, name: str) -> None:
    with running_console(name) as read_only, opened(browser, read_only) as page:
        expect(page.get_by_text("Read-only.")).to_be_visible()
        for path in ("/runs", "/model"):
            page.goto(path)
            assert page.locator("form[method=post]").count() == 0
        page.goto("/start/train")
        expect(page.get_by_role("button", name="Start the run")).to_be_disabled()


def test_the_page_is_used_by_keyboard_and_keeps_its_theme(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.get_by_role("button", name=re.compile("Theme")).press("Enter")
    page.get_by_role("button", name=re.compile("Theme")).press("Enter")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
