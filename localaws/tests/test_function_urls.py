"""Function URLs of the region: HTTP in, the function's answer out."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message

import pytest
from localaws_region import Region, serving

# Answers with the event itself, or as its query orders.
ECHO = """
import base64, json
def handler(event, context):
    query = event.get("queryStringParameters", {})
    if "fail" in query:
        raise RuntimeError("as ordered")
    if "plain" in query:
        return {"just": "a value"}
    if "binary" in query:
        body = base64.b64encode(bytes(range(256))).decode()
        headers = {"Content-Type": "application/octet-stream"}
        return {"statusCode": 201, "headers": headers, "cookies": ["a=1", "b=2"], "body": body, "isBase64Encoded": True}
    return {"statusCode": 200, "body": json.dumps(event)}
"""


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with serving(tmp_path_factory.mktemp("region")) as found:
        found.create_function("echo", {"app.py": ECHO})
        yield found


@pytest.fixture(scope="module")
def url(region: Region) -> str:
    return str(region.client("lambda").create_function_url_config(FunctionName="echo", AuthType="NONE")["FunctionUrl"])


def ask(url: str, method: str = "GET", data: bytes | None = None, **headers: str) -> tuple[int, Message, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=60) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers, refused.read()


def test_the_request_reaches_the_function_as_an_event(url: str) -> None:
    event = json.loads(ask(url + "a%20b/c?x=1&x=2&empty=", **{"X-Custom": "yes"})[2])
    assert (event["version"], event["rawPath"]) == ("2.0", "/a%20b/c")
    assert event["queryStringParameters"] == {"x": "1,2", "empty": ""}
    assert event["headers"]["x-custom"] == "yes"
    http = event["requestContext"]["http"]
    assert (http["method"], http["path"], http["sourceIp"]) == ("GET", "/a%20b/c", "127.0.0.1")
    assert "body" not in event


@pytest.mark.parametrize(
    ("content_type", "is_encoded"),
    [("application/json", False), ("text/plain; charset=utf-8", False), ("application/x-www-form-urlencoded", True)],
)
def test_a_body_is_text_or_base64_by_its_type(url: str, content_type: str, is_encoded: bool) -> None:
    event = json.loads(ask(url, "POST", b"a=1&b=2", **{"Content-Type": content_type})[2])
    body = base64.b64decode(event["body"]) if is_encoded else event["body"].encode()
    assert (event["isBase64Encoded"], body) == (is_encoded, b"a=1&b=2")


def test_status_headers_cookies_and_binary_bodies_come_back(url: str) -> None:
    status, headers, body = ask(url + "?binary")
    assert (status, body) == (201, bytes(range(256)))
    assert headers["content-type"] == "application/octet-stream"
    assert headers.get_all("set-cookie") == ["a=1", "b=2"]
    assert ask(url + "?binary", "HEAD")[2] == b""


def test_a_result_without_a_status_is_the_body(url: str) -> None:
    status, headers, body = ask(url + "?plain")
    assert (status, headers["content-type"], json.loads(body)) == (200, "application/json", {"just": "a value"})


def test_a_function_that_fails_is_a_bad_gateway_and_tells_nothing(url: str) -> None:
    status, _, body = ask(url + "?fail")
    assert (status, b"as ordered" in body) == (502, False)


def test_an_unknown_or_deleted_url_is_forbidden(region: Region) -> None:
    region.create_function("gone", {"app.py": ECHO})
    client = region.client("lambda")
    url = client.create_function_url_config(FunctionName="gone", AuthType="NONE")["FunctionUrl"]
    assert ask(url)[0] == 200
    client.delete_function_url_config(FunctionName="gone")
    assert ask(url)[0] == 403


def test_a_url_that_asks_for_signatures_is_refused(region: Region) -> None:
    client = region.client("lambda")
    with pytest.raises(client.exceptions.InvalidParameterValueException, match="AuthType NONE"):
        client.create_function_url_config(FunctionName="echo", AuthType="AWS_IAM")
