"""The region answers its user's programs only, and its control paths only with the token of the region file."""

from __future__ import annotations

import json

import pytest
import urllib3
from region import Region

EVIL = "http://evil.example"
ORDER = json.dumps({"image": "tester", "argv": ["sh", "-c", "exit 1"]}).encode()
ADDRESS = "127.0.0.1"


@pytest.fixture
def token(region: Region) -> str:
    return str(json.loads((region.home / "region.json").read_text())["token"])


def ask(region: Region, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> int:
    return urllib3.request(method, region.url + path, headers=headers, body=body or None).status


@pytest.mark.parametrize("path", ["/", "/test-bucket?list-type=2", "/_localaws/faults", "/_localaws/health"])
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Origin": EVIL}, id="origin of another page"),
        pytest.param({"Origin": "null"}, id="origin of a local file"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, id="image or script of a page"),
        pytest.param({"Sec-Fetch-Site": "same-origin"}, id="page in a bucket of the region"),
        pytest.param({"Host": "evil.example"}, id="rebound name"),
        pytest.param({"Host": "127.0.0.1.evil.example:4599"}, id="name that begins like the address"),
        pytest.param({"Host": ""}, id="no host"),
    ],
)
def test_a_web_page_is_refused_even_with_the_token(
    region: Region, token: str, path: str, headers: dict[str, str]
) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        answer = urllib3.request(method, region.url + path, headers=headers | {"X-Localaws-Token": token})
        assert answer.status == 403
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("path", ["faults", "processes", "health", "anything"])
@pytest.mark.parametrize("given", [{}, {"X-Localaws-Token": ""}, {"X-Localaws-Token": "guess"}])
def test_control_paths_ask_for_the_token(region: Region, path: str, given: dict[str, str]) -> None:
    assert ask(region, "GET", f"/_localaws/{path}", given) == 403


@pytest.mark.parametrize("path", ["/moto-api/reset", "/moto-api/data.json", "/moto-api/config"])
def test_the_paths_of_moto_ask_for_it_too(region: Region, path: str) -> None:
    assert ask(region, "POST", path, {}) == 403


def test_an_order_without_the_token_changes_nothing(region: Region, token: str) -> None:
    assert ask(region, "POST", "/_localaws/faults", {"Content-Type": "text/plain"}, ORDER) == 403
    assert region.control("GET", "faults").json() == []


def test_the_response_of_a_custom_resource_needs_a_request_that_is_waited_for(region: Region) -> None:
    assert ask(region, "PUT", "/_localaws/cloudformation/response?unknown", {}) == 403


@pytest.mark.parametrize("host", [ADDRESS, "localhost", "test-bucket.localhost"])
def test_programs_on_this_machine_are_answered(region: Region, host: str) -> None:
    port = region.url.rpartition(":")[2]
    assert ask(region, "GET", "/", {"Host": f"{host}:{port}"}) == 200


def test_an_address_that_a_user_types_is_answered(region: Region) -> None:
    assert ask(region, "GET", "/", {"Sec-Fetch-Site": "none"}) == 200
