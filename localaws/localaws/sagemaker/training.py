"""Training jobs."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moto.sagemaker.exceptions import ValidationError

from localaws import faults
from localaws.sagemaker import container, transfer
from localaws.sagemaker.context import Context
from localaws.sagemaker.errors import AlgorithmError
from localaws.sagemaker.instances import Instances, Launch, Outcome, run_instances, write_json
from localaws.sagemaker.job import Job
from localaws.sagemaker.validation import check_s3_source, check_vpc, find_image

HYPERPARAMETER_LIMIT = 2500
"""A hyperparameter has at most this many characters (API reference)."""


def check(request: dict[str, Any], context: Context) -> dict[str, Any]:
    """Check a request and return the other parts of the job's description.

    Raises
    ------
    ValidationError
        The image does not exist, a hyperparameter is too long, or a feature is not supported.
    """
    find_image(request["AlgorithmSpecification"].get("TrainingImage", ""), context.settings.images)
    check_vpc(request.get("VpcConfig"))
    for name, value in (request.get("HyperParameters") or {}).items():
        if len(str(value)) > HYPERPARAMETER_LIMIT:
            raise ValidationError(
                f"Hyperparameter {name} has {len(value)} characters; {HYPERPARAMETER_LIMIT} are allowed."
            )
    _check_spot(request)
    if int((request.get("ResourceConfig") or {}).get("InstanceCount") or 1) > 1:
        raise ValidationError("The local region trains on one instance. Set InstanceCount to 1.")
    modes = [request["AlgorithmSpecification"].get("TrainingInputMode")]
    modes += [channel.get("InputMode") for channel in request.get("InputDataConfig") or []]
    if "Pipe" in modes:
        raise ValidationError("The local region does not support Pipe mode. Use File or FastFile.")
    for channel in request.get("InputDataConfig") or []:
        if "S3DataSource" not in channel.get("DataSource", {}):
            raise ValidationError(f"Channel {channel['ChannelName']}: the local region supports S3 data sources only.")
        check_s3_source(channel["DataSource"]["S3DataSource"])
    if (request.get("OutputDataConfig") or {}).get("CompressionType") == "NONE":
        raise ValidationError("The local region writes model.tar.gz only. Remove CompressionType.")
    return {"ModelArtifacts": {"S3ModelArtifacts": _artifacts_uri(request)}}


def _check_spot(request: dict[str, Any]) -> None:
    """Check that only managed spot training has MaxWaitTimeInSeconds."""
    condition = request.get("StoppingCondition") or {}
    wait, limit = condition.get("MaxWaitTimeInSeconds"), condition.get("MaxRuntimeInSeconds") or 86_400
    if request.get("EnableManagedSpotTraining"):
        if wait is None or wait < limit:
            raise ValidationError(
                "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds."
            )
    elif wait is not None:
        raise ValidationError("MaxWaitTimeInSeconds is allowed with EnableManagedSpotTraining only.")


def run(job: Job, context: Context, folder: Path) -> Outcome:
    """Run a training job to its end.

    Raises
    ------
    JobError
        The job has failed. The message is its FailureReason.
    """
    while True:
        outcome = _train(job, context, folder)
        if outcome != "Interrupted":
            break
        # A new instance takes over. Of what the job wrote it finds the checkpoints, which are in S3.
        job.enter("Interrupted", "The spot instances were reclaimed. The job starts again when there is capacity.")
        container.remove(folder)
        job.enter("Starting", "Preparing the instances")
    job.enter("Uploading", "Uploading generated training model")
    _upload_results(job, context, folder)
    return outcome


def _train(job: Job, context: Context, root: Path) -> Outcome:
    """Download the input and run the container once."""
    specification = job.request["AlgorithmSpecification"]
    job.enter("Downloading", "Downloading input data")
    instances = Instances.of(root, 1)
    instance_type = (job.request.get("ResourceConfig") or {}).get("InstanceType", "local")
    _prepare(job, context, instances.resource_config(0, instance_type), root)
    checkpoints = _checkpoints(job, context, root)
    job.enter("Training", "Training image download completed. Training in progress.")
    entrypoint = specification.get("ContainerEntrypoint") or []
    arguments = specification.get("ContainerArguments") or []
    launch = Launch(
        image=find_image(specification["TrainingImage"], context.settings.images),
        entrypoint=entrypoint,
        arguments=arguments if entrypoint or arguments else ["train"],
        environment={
            "TRAINING_JOB_NAME": job.name,
            "TRAINING_JOB_ARN": job.arn,
            **(job.request.get("Environment") or {}),
        },
    )
    metrics = _Metrics(job)
    interrupted = threading.Event()

    def read(line: str) -> None:
        metrics.read(line)
        if job.request.get("EnableManagedSpotTraining") and faults.active.take_interruption(job.name, line):
            interrupted.set()

    try:
        return run_instances(
            job, context, instances, launch, on_line=read, meanwhile=checkpoints, interrupted=interrupted
        )
    except AlgorithmError as error:
        raise AlgorithmError(f"AlgorithmError: {error}, exit code: {error.exit_code}", error.exit_code) from error
    finally:
        checkpoints()


def _prepare(job: Job, context: Context, resource_config: Mapping[str, Any], root: Path) -> None:
    """Create the content of /opt/ml for a training container."""
    for name in ("model", "output/data", "input/data", "checkpoints"):
        (root / name).mkdir(parents=True, exist_ok=True)
    config = root / "input" / "config"
    channels = job.request.get("InputDataConfig") or []
    write_json(config / "hyperparameters.json", job.request.get("HyperParameters") or {})
    write_json(
        config / "inputdataconfig.json",
        {
            channel["ChannelName"]: {
                "ContentType": channel.get("ContentType", ""),
                "TrainingInputMode": "File",
                "S3DistributionType": channel["DataSource"]["S3DataSource"].get(
                    "S3DataDistributionType", "FullyReplicated"
                ),
                "RecordWrapperType": channel.get("RecordWrapperType", "None"),
            }
            for channel in channels
        },
    )
    write_json(config / "resourceconfig.json", resource_config)
    for channel in channels:
        transfer.download(
            context.store,
            channel["DataSource"]["S3DataSource"],
            root / "input" / "data" / channel["ChannelName"],
        )


def _checkpoints(job: Job, context: Context, root: Path) -> Callable[[], None]:
    """Download earlier checkpoints and return a function that uploads new ones."""
    configuration = job.request.get("CheckpointConfig")
    if not configuration:
        return lambda: None
    folder = container.local_path(root, configuration.get("LocalPath") or "/opt/ml/checkpoints")
    folder.mkdir(parents=True, exist_ok=True)
    files = transfer.ChangedFiles(context.store, folder, configuration["S3Uri"])
    files.fetch()
    return files.copy


def _upload_results(job: Job, context: Context, root: Path) -> None:
    """Upload the model and, if there is any, the other output."""
    uri = job.details["ModelArtifacts"]["S3ModelArtifacts"]
    model, output = root / "model", root / "output" / "data"
    for folder in (model, output):
        folder.mkdir(parents=True, exist_ok=True)
    transfer.upload_archive(context.store, model, uri)
    if any(output.iterdir()):
        transfer.upload_archive(context.store, output, uri.rpartition("/")[0] + "/output.tar.gz")


def _artifacts_uri(request: dict[str, Any]) -> str:
    return f"{request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{request['TrainingJobName']}/output/model.tar.gz"


class _Metrics:
    """Finds the metrics of MetricDefinitions in the log. The last match of each is its final value."""

    def __init__(self, job: Job) -> None:
        definitions = job.request["AlgorithmSpecification"].get("MetricDefinitions") or []
        self._patterns = [(definition["Name"], re.compile(definition["Regex"])) for definition in definitions]
        self._job = job

    def read(self, line: str) -> None:
        """Find all metrics in a line."""
        for name, pattern in self._patterns:
            for match in pattern.finditer(line):
                try:
                    value = float(match.group(1))
                except (ValueError, IndexError):
                    continue
                final = self._job.details.get("FinalMetricDataList", [])
                self._job.details["FinalMetricDataList"] = [
                    *(metric for metric in final if metric["MetricName"] != name),
                    {"MetricName": name, "Value": value, "Timestamp": datetime.now(UTC)},
                ]
