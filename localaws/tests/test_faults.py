"""Faults: an order over HTTP changes the API calls that follow, as boto3 sees them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError

from localaws import faults


class QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


def empty_region(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer all calls with success, after reading their bodies as a real application does."""
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "application/x-amz-json-1.1")])
    return [b"{}"]


@pytest.fixture
def url() -> Iterator[str]:
    faults.active.clear()
    server = make_server("127.0.0.1", 0, faults.FaultInjector(empty_region), handler_class=QuietHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    faults.active.clear()


def client(service: str, url: str) -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=url,
        region_name="eu-central-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )


def call(url: str, method: str, document: object = None) -> Any:
    return answer(url, method, document).json()


def answer(url: str, method: str, document: object = None) -> urllib3.BaseHTTPResponse:
    body = None if document is None else json.dumps(document).encode()
    return urllib3.request(method, f"{url}/_localaws/faults", body=body)


def error_of(action: Any, **arguments: Any) -> tuple[str, int] | None:
    try:
        action(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    return None


@pytest.mark.parametrize(
    ("service", "signing_name", "method", "operation", "arguments"),
    [
        ("sagemaker", "sagemaker", "stop_training_job", "StopTrainingJob", {"TrainingJobName": "x"}),
        ("athena", "athena", "stop_query_execution", "StopQueryExecution", {"QueryExecutionId": "x"}),
        ("sns", "sns", "publish", "Publish", {"Message": "x", "TopicArn": "x"}),
        ("s3", "s3", "put_object", "PutObject", {"Bucket": "b", "Key": "k", "Body": b"x"}),
        ("s3", "s3", "copy_object", "CopyObject", {"Bucket": "b", "Key": "k", "CopySource": "b/c"}),
        ("lambda", "lambda", "invoke", "Invoke", {"FunctionName": "f"}),
        ("sagemaker-runtime", "sagemaker", "invoke_endpoint", "InvokeEndpoint", {"EndpointName": "e", "Body": b"x"}),
    ],
)
def test_error_reaches_the_caller_in_the_services_own_protocol(
    url: str, service: str, signing_name: str, method: str, operation: str, arguments: dict[str, Any]
) -> None:
    order = {"service": signing_name, "operation": operation, "error": "Throttling", "message": "a < b", "status": 503}
    call(url, "POST", order)
    with pytest.raises(ClientError, match="a < b") as caught:
        getattr(client(service, url), method)(**arguments)
    assert caught.value.response["Error"]["Code"] == "Throttling"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert call(url, "GET") == []


def test_times_and_after_count_matching_calls(url: str) -> None:
    order = {"service": "sagemaker", "operation": "StopTrainingJob", "error": "ResourceLimitExceeded"}
    call(url, "POST", {**order, "times": 2, "after": 1})
    stop = client("sagemaker", url).stop_training_job
    seen = [error_of(stop, TrainingJobName="x") for _ in range(4)]
    assert seen == [None, ("ResourceLimitExceeded", 400), ("ResourceLimitExceeded", 400), None]


def test_match_spares_other_requests_and_other_operations(url: str) -> None:
    order = {"service": "sagemaker", "operation": "StopTrainingJob", "error": "Broken", "match": "fold-2"}
    call(url, "POST", order)
    sagemaker = client("sagemaker", url)
    assert error_of(sagemaker.stop_training_job, TrainingJobName="fold-1") is None
    assert error_of(sagemaker.stop_processing_job, ProcessingJobName="fold-2") is None
    assert call(url, "GET") == [{**order, "message": "Injected fault", "status": 400, "times": 1}]
    assert error_of(sagemaker.stop_training_job, TrainingJobName="fold-2") == ("Broken", 400)


def test_delete_lifts_all_faults(url: str) -> None:
    call(url, "POST", {"service": "sagemaker", "operation": "StopTrainingJob", "error": "Broken", "times": 9})
    assert call(url, "DELETE") == []
    assert error_of(client("sagemaker", url).stop_training_job, TrainingJobName="x") is None


@pytest.mark.parametrize(
    "order",
    [
        pytest.param({}, id="empty"),
        pytest.param([], id="no object"),
        pytest.param({"service": "s3"}, id="no kind"),
        pytest.param({"image": "x", "argv": "ls"}, id="argv no list"),
        pytest.param({"service": "s3", "hold": True, "tiems": 1}, id="unknown entry"),
        pytest.param({"service": "s3", "hold": True, "times": "2"}, id="times no number"),
        pytest.param({"service": "s3", "hold": True, "image": "x", "argv": ["ls"]}, id="two kinds"),
    ],
)
def test_a_bad_order_is_refused(url: str, order: object) -> None:
    assert answer(url, "POST", order).status == 400
    assert call(url, "GET") == []


def test_command_is_taken_by_image_and_match() -> None:
    ordered = faults.Faults()
    ordered.add(faults.Fault.parse({"image": "trainer", "argv": ["false"], "match": "evaluate", "times": 2}))
    assert ordered.take_command("other", "job", ["evaluate"]) is None
    assert ordered.take_command("trainer", "job", ["train"]) is None
    assert ordered.take_command("trainer", "job", ["evaluate"]) == ("false",)
    assert ordered.take_command("trainer", "evaluate-1", []) == ("false",)
    assert ordered.take_command("trainer", "job", ["evaluate"]) is None


def test_clearing_releases_what_is_held() -> None:
    ordered = faults.Faults()
    ordered.add(faults.Fault.parse({"service": "athena", "hold": True}))
    held = ordered.take_hold("athena", "SELECT 1")
    assert held is not None
    assert not held.is_set()
    assert ordered.take_hold("athena", "SELECT 1") is None
    ordered.clear()
    assert held.is_set()


def test_running_processes_are_listed(url: str) -> None:
    assert urllib3.request("GET", f"{url}/_localaws/processes").json() == []
