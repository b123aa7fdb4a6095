"""Service quotas: a request for more instances than the settings allow, and the API that lists them."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import test_endpoints
import test_processing
import test_training
import test_tuning
from botocore.exceptions import ClientError
from region import Region

WAITS = "import time; time.sleep(600)"


def refusal(used: int, quota: int, name: str, wanted: int = 1) -> str:
    return (
        f"The account-level service limit '{name}' is {quota} Instances, with current utilization of {used} Instances "
        f"and a request delta of {wanted} Instances. Please use AWS Service Quotas to request an increase for this "
        "quota. If AWS Service Quotas is not available, contact AWS support to request an increase for this quota."
    )


def cluster(kind: str, count: int = 1) -> dict[str, Any]:
    return {"InstanceType": kind, "InstanceCount": count, "VolumeSizeInGB": 1}


def train(region: Region, **options: Any) -> str:
    return test_training.start(region, options.pop("code", ""), ResourceConfig=cluster("ml.p3.2xlarge"), **options)


def process(region: Region, kind: str, count: int = 1) -> str:
    resources = {"ClusterConfig": cluster(kind, count)}
    return test_processing.start(region, "exec", WAITS, ProcessingResources=resources)


def serve(region: Region, kind: str) -> str:
    return test_endpoints.create_endpoint(region, test_endpoints.create_config(region, InstanceType=kind))


REFUSED = {
    "ml.p3.2xlarge for training job usage": train,
    "ml.p3.2xlarge for processing job usage": lambda region: process(region, "ml.p3.2xlarge"),
    "ml.p3.2xlarge for transform job usage": lambda region: test_endpoints.transform(
        region, TransformResources={"InstanceType": "ml.p3.2xlarge", "InstanceCount": 1}
    ),
    "ml.p3.8xlarge for endpoint usage": lambda region: serve(region, "ml.p3.8xlarge"),
}


@pytest.mark.parametrize("quota", REFUSED)
def test_a_quota_of_zero_refuses_every_request(region: Region, quota: str) -> None:
    with pytest.raises(ClientError) as raised:
        REFUSED[quota](region)
    error = raised.value.response["Error"]
    assert (error["Code"], error["Message"]) == ("ResourceLimitExceeded", refusal(0, 0, quota))


def test_a_tuning_job_needs_the_quota_of_its_training_jobs(region: Region) -> None:
    with pytest.raises(ClientError, match=r"'ml\.p3\.2xlarge for training job usage' is 0 Instances"):
        test_tuning.start(region, resources=cluster("ml.p3.2xlarge"))


def test_instances_count_until_their_job_has_ended(region: Region) -> None:
    name = "ml.p3.8xlarge for processing job usage"
    job = process(region, "ml.p3.8xlarge")
    with pytest.raises(ClientError) as raised:
        process(region, "ml.p3.8xlarge", 2)
    assert raised.value.response["Error"]["Message"] == refusal(1, 2, name, wanted=2)
    region.client("sagemaker").stop_processing_job(ProcessingJobName=job)
    test_processing.end_of(region, job)
    again = process(region, "ml.p3.8xlarge", 2)
    region.client("sagemaker").stop_processing_job(ProcessingJobName=again)


def test_spot_training_has_a_quota_of_its_own(region: Region) -> None:
    spot = {
        "EnableManagedSpotTraining": True,
        "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 600},
    }
    job = train(region, code=WAITS, **spot)
    with pytest.raises(ClientError, match=r"'ml\.p3\.2xlarge for spot training job usage' is 1 Instances"):
        train(region, **spot)
    region.client("sagemaker").stop_training_job(TrainingJobName=job)


def test_an_update_needs_instances_beside_those_that_serve(region: Region) -> None:
    endpoint = serve(region, "ml.p3.2xlarge")
    assert test_endpoints.settled(region, endpoint)["EndpointStatus"] == "InService"
    config = test_endpoints.create_config(region, InstanceType="ml.p3.2xlarge")
    with pytest.raises(ClientError) as raised:
        region.client("sagemaker").update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    assert raised.value.response["Error"]["Message"] == refusal(1, 1, "ml.p3.2xlarge for endpoint usage")
    assert test_endpoints.invoke(region, endpoint)["body"] == "hi"
    test_endpoints.delete(region, endpoint)


def test_quotas_are_listed_with_their_values(region: Region) -> None:
    client = region.client("service-quotas")
    pages = client.get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker")
    found = {quota["QuotaName"]: quota for page in pages for quota in page["Quotas"]}
    assert found["ml.p3.2xlarge for training job usage"]["Value"] == 0
    assert found["ml.p3.8xlarge for processing job usage"]["Value"] == 2
    usual = {found[f"ml.m5.xlarge for {use}"]["Value"] for use in ("transform job usage", "endpoint usage")}
    assert usual == {1000}
    code = found["ml.p3.8xlarge for processing job usage"]["QuotaCode"]
    quota = client.get_service_quota(ServiceCode="sagemaker", QuotaCode=code)["Quota"]
    assert (quota["QuotaName"], quota["Value"]) == ("ml.p3.8xlarge for processing job usage", 2)
    with pytest.raises(client.exceptions.NoSuchResourceException):
        client.get_service_quota(ServiceCode="sagemaker", QuotaCode=f"L-{uuid.uuid4().hex[:8].upper()}")


def test_quotas_of_other_services_are_listed_as_before(region: Region) -> None:
    quotas = region.client("service-quotas").list_service_quotas(ServiceCode="vpc")["Quotas"]
    assert {quota["ServiceCode"] for quota in quotas} == {"vpc"}
