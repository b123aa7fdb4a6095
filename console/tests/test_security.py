"""Only the console's owner gets in, and only from the console's own pages."""

from __future__ import annotations

import re

import pytest
from console_client import ORIGIN, PORT, TOKEN, browser
from starlette.testclient import TestClient

from console.security import HEADERS

FORM = "/start/train"


def cookie_of(client: TestClient) -> str:
    return next(iter(client.cookies.jar)).value or ""


def test_the_token_of_the_url_becomes_a_cookie_that_no_script_and_no_other_site_gets() -> None:
    client = browser(entered=False)
    answer = client.get("/plan", params={"token": TOKEN, "date": "2026-11-28"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/plan?date=2026-11-28"
    (cookie,) = answer.headers.get_list("set-cookie")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie


@pytest.mark.parametrize("path", ["/", "/runs", FORM, "/static/console.css", "/runs/events"])
def test_without_the_cookie_nothing_is_shown(path: str) -> None:
    answer = browser(entered=False).get(path)
    assert answer.status_code == 401
    assert "visitcast-test" not in answer.text


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], "\N{SNOWMAN}"])
def test_a_wrong_token_is_refused(token: str) -> None:
    answer = browser(entered=False).get("/", params={"token": token})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


def test_a_wrong_cookie_is_refused() -> None:
    client = browser(entered=False)
    client.cookies.set(f"visitcast_console_{PORT}", "guessed")
    assert client.get(FORM).status_code == 401


def test_the_cookie_of_another_console_does_not_open_this_one() -> None:
    other, client = browser(), browser(entered=False)
    client.cookies.set(f"visitcast_console_{PORT}", cookie_of(other))
    assert client.get(FORM).status_code == 401


@pytest.mark.parametrize("host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:80", ""])
def test_a_host_name_that_leads_here_is_refused(host: str) -> None:
    """DNS rebinding: the page of evil.example reads the console once its name leads to 127.0.0.1."""
    answer = browser().get(FORM, headers={"host": host})
    assert answer.status_code == 421


@pytest.mark.parametrize("origin", ["http://evil.example", "null", f"https://127.0.0.1:{PORT}", "http://127.0.0.1:1"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_of_another_page_is_refused(origin: str, method: str) -> None:
    answer = browser(allow_runs=True).request(method, FORM, headers={"origin": origin})
    assert answer.status_code == 403


def test_a_form_without_an_origin_is_refused() -> None:
    assert browser(allow_runs=True).post(FORM).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/start/train",
        "/start/forecast",
        "/runs/train/one/stop",
        "/runs/train/one/redrive",
        "/model/1/approve",
        "/model/1/reject",
        "/model/1/roll-back",
    ],
)
def test_read_only_changes_nothing(path: str) -> None:
    answer = browser().post(path, headers={"origin": ORIGIN})
    assert answer.status_code == 403
    assert "--allow-runs" in answer.text


@pytest.mark.parametrize("path", ["/static/console.css", "/nowhere", "/static/../cli.py", "/runs/other/name"])
@pytest.mark.parametrize("entered", [True, False])
def test_every_answer_has_the_headers(path: str, entered: bool) -> None:
    answer = browser(entered=entered).get(path)
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere() -> None:
    policy = HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert set(re.findall(r"-src (\S+?);", policy)) <= {"'none'", "'self'"}


def test_the_redirect_of_the_token_stays_here() -> None:
    answer = browser(entered=False).get(f"{ORIGIN}//evil.example/", params={"token": TOKEN})
    assert answer.headers.get("location", "/").startswith("/")
    assert not answer.headers.get("location", "/").startswith("//")
