"""The handler that says which model forecasts, and what its forecasts are held against."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from handlers_in_moto import BUCKET, handler_module

MODEL_DATA = f"s3://{BUCKET}/runs/20261101-1/models/job/output/model.tar.gz"
EVALUATION = "runs/20261101-1/evaluation/evaluation.json"
EVENT = {
    "EndpointName": "visitcast-dev",
    "ReferenceUri": f"s3://{BUCKET}/runs/20261123-1/reference",
    "ForecastDate": "2026-11-24",
}
ROLE = "arn:aws:iam::123456789012:role/serving"


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The handler's module in a region with a bucket and nothing else."""
    with handler_module(monkeypatch, "find_production_model", "s3", "sagemaker") as app:
        yield app


def serve(app: Any, model_data: str = MODEL_DATA) -> None:
    """Make the model, the config and the endpoint."""
    variant = {"ModelName": "model-1", "VariantName": "AllTraffic", "InstanceType": "ml.t2.medium"}
    app.sagemaker.create_model(
        ModelName="model-1", PrimaryContainer={"Image": "image", "ModelDataUrl": model_data}, ExecutionRoleArn=ROLE
    )
    app.sagemaker.create_endpoint_config(
        EndpointConfigName="config-1", ProductionVariants=[{**variant, "InitialInstanceCount": 1}]
    )
    app.sagemaker.create_endpoint(EndpointName="visitcast-dev", EndpointConfigName="config-1")


def put(app: Any, key: str, content: Any) -> None:
    app.s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(content).encode())


def reference(app: Any) -> dict[str, Any]:
    """Content of the JSON files beside the run."""
    listed = app.s3.list_objects_v2(Bucket=BUCKET, Prefix="runs/20261123-1/reference/").get("Contents", [])
    keys = [item["Key"] for item in listed if item["Key"].endswith(".json")]
    return {
        key.rpartition("/")[2]: json.loads(app.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()) for key in keys
    }


def handle(app: Any, **changes: str) -> dict[str, Any]:
    found: dict[str, Any] = app.handler.__wrapped__(EVENT | changes, None)
    return found


def test_without_an_endpoint_it_says_what_to_do(app: Any) -> None:
    with pytest.raises(app.NoProductionModel, match="Run the training workflow first"):
        handle(app)


def test_the_endpoints_model_is_found_with_its_evaluation_and_the_last_profile(app: Any) -> None:
    serve(app)
    put(app, EVALUATION, {"model": {"log_loss": 2.4}})
    for day in ("2026-11-22", "2026-11-23", "2026-11-24", "2026-11-25"):
        put(app, f"forecasts/profiles/dt={day}.json", {"day": day})
    found = handle(app)
    assert (found["ModelName"], found["EndpointConfigName"]) == ("model-1", "config-1")
    assert found["ModelDataUrl"] == MODEL_DATA
    assert found["References"] == ["evaluation.json", "profile.json"]
    # A date that is run again is held against the date before, not against itself.
    assert reference(app) == {"evaluation.json": {"model": {"log_loss": 2.4}}, "profile.json": {"day": "2026-11-23"}}


def test_a_first_run_has_nothing_to_be_held_against(app: Any) -> None:
    serve(app)
    assert handle(app)["References"] == []
    assert reference(app) == {}
    # The processing job that reads the prefix would fail on an empty one.
    assert app.s3.list_objects_v2(Bucket=BUCKET, Prefix="runs/20261123-1/reference/")["KeyCount"] == 1


def test_a_model_from_elsewhere_has_no_evaluation(app: Any) -> None:
    serve(app, "s3://other/model.tar.gz")
    assert handle(app)["References"] == []


def test_profiles_before_a_date_are_found_beyond_the_first_page_of_a_listing(app: Any) -> None:
    serve(app)
    for number in range(1005):
        put(app, f"forecasts/profiles/dt={2000 + number // 12:04}-{number % 12 + 1:02}-01.json", {"number": number})
    handle(app, ForecastDate="2083-09-15")
    assert reference(app)["profile.json"] == {"number": 1004}


def test_an_error_that_is_not_a_missing_object_is_not_hidden(app: Any) -> None:
    serve(app, "s3://no-such-bucket/runs/1/models/job/output/model.tar.gz")
    with pytest.raises(app.ClientError, match="NoSuchBucket"):
        handle(app)
