"""Settings of the deployed stack and the job and endpoint settings that follow from them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from functions.shared.execution_input import InputRejected
from functions.shared.instances import job_cluster
from functions.shared.network import Network

VARIANT = "AllTraffic"
"""Name of the endpoint's only variant. Alarms and dashboard name it, and an update must not change it."""

SPOT_PATIENCE = 2
"""Longest wall time of a spot training job, waiting and restarts included, as a multiple of its run time limit."""


@dataclass(frozen=True)
class Deployment:
    """Settings of the deployed stack.

    Attributes
    ----------
    bucket
        The application's bucket.
    endpoint_name
        The endpoint to use unless the execution input names another.
    endpoint_mode
        ``instance``, ``serverless`` or ``none``.
    serverless_memory_mb, serverless_max_concurrency
        Size of a serverless endpoint.
    isolates_models
        Whether model containers have no network. A serverless endpoint does not support this.
    kms_key_arn
        Key of the jobs' volumes; empty for SageMaker's own key.
    use_spot
        Whether training uses spot capacity, which is cheaper and may be interrupted.
    rollback_alarms
        Names of the alarms that roll back an endpoint update.
    network
        Subnets and security groups of jobs and models.
    approval_mode
        ``none``, ``on-request`` or ``always``: whether a person approves a model before it goes into production.
    model_package_group_arn
        The model registry's group of this stack.
    """

    bucket: str
    endpoint_name: str
    endpoint_mode: str = "instance"
    serverless_memory_mb: int = 2048
    serverless_max_concurrency: int = 5
    isolates_models: bool = True
    network: Network = field(default_factory=Network)
    kms_key_arn: str = ""
    use_spot: bool = False
    rollback_alarms: tuple[str, ...] = ()
    approval_mode: str = "none"
    model_package_group_arn: str = ""

    @classmethod
    def from_environment(cls) -> Deployment:
        """Read the function's environment, which the template sets."""
        return cls(
            bucket=os.environ["BUCKET_NAME"],
            endpoint_name=os.environ["ENDPOINT_NAME"],
            endpoint_mode=os.environ["ENDPOINT_MODE"],
            serverless_memory_mb=int(os.environ["SERVERLESS_MEMORY_MB"]),
            serverless_max_concurrency=int(os.environ["SERVERLESS_MAX_CONCURRENCY"]),
            isolates_models=os.environ["MODEL_NETWORK_ISOLATION"] == "yes",
            network=Network.from_environment(),
            kms_key_arn=os.environ["KMS_KEY_ARN"],
            use_spot=os.environ["SPOT_TRAINING"] == "yes",
            rollback_alarms=tuple(os.environ["ROLLBACK_ALARMS"].split(",")),
            approval_mode=os.environ["APPROVAL_MODE"],
            model_package_group_arn=os.environ["MODEL_PACKAGE_GROUP_ARN"],
        )

    def cluster(self, resources: dict[str, Any], instances: int | None = None) -> dict[str, Any]:
        """Return a job's ResourceConfig or ClusterConfig; see `functions.shared.instances.job_cluster`."""
        return job_cluster(resources, self.kms_key_arn, instances)

    def training(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the settings of training jobs, on spot capacity if the stack asks for it."""
        longest = settings["MaxRuntimeInSeconds"]
        stopping = {"MaxRuntimeInSeconds": longest}
        if self.use_spot:
            stopping["MaxWaitTimeInSeconds"] = SPOT_PATIENCE * longest
        return {
            **settings,
            "Cluster": self.cluster(settings, 1),
            "UseSpot": self.use_spot,
            "StoppingCondition": stopping,
        }

    def endpoint(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the settings of the endpoint: how an update shifts traffic and which alarms roll it back.

        During an update both fleets run, and an alarm rolls back to the old one. A canary takes at most half of the
        fleet, so it needs two instances.
        """
        routing: dict[str, Any] = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 300}
        if settings["InstanceCount"] > 1:
            size = {"Type": "CAPACITY_PERCENT", "Value": 50}
            routing = {"Type": "CANARY", "CanarySize": size, "WaitIntervalInSeconds": 300}
        change: dict[str, Any] = {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": routing,
                "TerminationWaitInSeconds": 60,
                "MaximumExecutionTimeoutInSeconds": 3600,
            }
        }
        if self.rollback_alarms:
            alarms = [{"AlarmName": name} for name in self.rollback_alarms]
            change["AutoRollbackConfiguration"] = {"Alarms": alarms}
        return {
            **settings,
            "Mode": self.endpoint_mode,
            "IsIsolated": self.isolates_models,
            "Variant": self.variant(settings),
            "DeploymentConfig": change,
        }

    def variant(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the endpoint's production variant without the model's name.

        >>> Deployment("b", "e", endpoint_mode="serverless").variant({})["ServerlessConfig"]
        {'MemorySizeInMB': 2048, 'MaxConcurrency': 5}
        """
        if self.endpoint_mode == "serverless":
            serverless = {
                "MemorySizeInMB": self.serverless_memory_mb,
                "MaxConcurrency": self.serverless_max_concurrency,
            }
            return {"VariantName": VARIANT, "ServerlessConfig": serverless}
        return {
            "VariantName": VARIANT,
            "InitialInstanceCount": settings["InstanceCount"],
            "InstanceType": settings["InstanceType"],
        }

    def approval(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return whether a person must approve the model of this run, and the status that it is registered with.

        Raises
        ------
        InputRejected
            The input contradicts the stack's ``ApprovalMode``.
        """
        required = self.approval_mode == "always" if settings["Required"] is None else settings["Required"]
        if required and self.approval_mode == "none":
            raise InputRejected(
                "Execution input rejected: Approval.Required is true, but the ApprovalMode of this stack is none. "
                "Leave it out, or deploy with ApprovalMode=on-request and AlarmEmail."
            )
        if not required and self.approval_mode == "always":
            raise InputRejected(
                "Execution input rejected: Approval.Required is false, but the ApprovalMode of this stack is "
                "always. Leave it out, or deploy with ApprovalMode=on-request."
            )
        return {"Required": required, "InitialStatus": "PendingManualApproval" if required else "Approved"}
