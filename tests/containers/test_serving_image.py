"""The serving image as an endpoint and as a batch transform, with the model that the training container made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from container_endpoint import PORT, Endpoint, batch_variables, endpoint
from container_engine import Engine
from forecast_requests import all_users, as_lines, assert_forecast, changed
from served_model import JSON, JSON_LINES, UnderWay, running, wait_until_refused

from visitcast.serving.limits import REAL_TIME_USERS

LARGEST_BYTES = 400_000_000


@pytest.fixture(scope="module")
def network(engine: Engine) -> Iterator[str]:
    with engine.private_network() as name:
        yield name


@pytest.fixture(scope="module")
def served(engine: Engine, serving_image: str, deployed_model: Path, network: str) -> Iterator[Endpoint]:
    with endpoint(engine, serving_image, deployed_model, network) as found:
        yield found


@pytest.mark.parametrize("content_type", [JSON, JSON_LINES])
def test_forecasts_are_those_of_the_local_region(served: Endpoint, deployed_model: Path, content_type: str) -> None:
    users = all_users()
    body = json.dumps({"users": users}).encode()
    # What the local region starts for an endpoint: the same files, run by this interpreter.
    with running(deployed_model) as local:
        expected = local.post(body).json["forecasts"]
    answer = served.ask("/invocations", body if content_type == JSON else as_lines(users), content_type)
    assert answer.status == 200, answer.body
    found = answer.json["forecasts"] if content_type == JSON else [json.loads(one) for one in answer.body.splitlines()]
    assert [one["user_id"] for one in found] == [user["user_id"] for user in users]
    for one, other in zip(found, expected, strict=True):
        assert_forecast(one, other)
        assert one["source"] == other["source"]
    assert "model" in {one["source"] for one in found}


def test_a_bad_request_is_told_its_field(served: Endpoint) -> None:
    answer = served.ask("/invocations", changed(first_visit_hour=24))
    assert answer.status == 400
    assert answer.json["error"]["field"] == "users[0].visits[0].first_visit_hour"


def test_sigterm_lets_requests_in_flight_finish(
    engine: Engine, serving_image: str, deployed_model: Path, network: str
) -> None:
    body = json.dumps({"users": all_users()}).encode()
    with endpoint(engine, serving_image, deployed_model, network) as served, ThreadPoolExecutor(1) as pool:
        address = engine.address(served.name)
        large = UnderWay(address, PORT, body)
        stopping = pool.submit(engine.stop, served.name, seconds=30)  # as long as SageMaker waits
        wait_until_refused(address, PORT)
        assert large.finish().status == 200
        stopping.result()
        code, printed = engine.wait(served.name)
    assert code == 143, printed
    assert "stopped by SIGTERM" in printed


@pytest.mark.parametrize(("variables", "status"), [({}, 413), (batch_variables(), 200)], ids=["endpoint", "transform"])
def test_only_a_transform_takes_more_users_than_an_endpoint_may(
    engine: Engine, serving_image: str, deployed_model: Path, network: str, variables: dict[str, str], status: int
) -> None:
    users = [{"user_id": str(number), "date": "2026-11-24", "visits": []} for number in range(REAL_TIME_USERS + 1)]
    with endpoint(engine, serving_image, deployed_model, network, **variables) as served:
        answer = served.ask("/invocations", as_lines(users), JSON_LINES)
    assert answer.status == status, answer.body[:1000]
    if status == 200:
        assert [json.loads(line)["user_id"] for line in answer.body.splitlines()] == [one["user_id"] for one in users]


def test_an_endpoint_without_a_model_says_so(engine: Engine, serving_image: str, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    code, printed = engine.run(serving_image, "serve", ml=tmp_path)
    assert code == 1
    assert "This folder holds no model" in printed
    assert "holds no model" in (tmp_path / "output/failure").read_text()


@pytest.mark.parametrize("package", ["tensorflow", "sklearn", "scipy", "pandas", "pyarrow"])
def test_the_serving_image_holds_only_its_own_packages(engine: Engine, serving_image: str, package: str) -> None:
    code = ["--entrypoint", "python", serving_image, "-c", f"import {package}"]
    assert "ModuleNotFoundError" in engine("run", "--rm", "--network=none", *code).stderr


def test_the_serving_image_is_small(engine: Engine, serving_image: str) -> None:
    assert engine.sizes["serving"] <= LARGEST_BYTES
