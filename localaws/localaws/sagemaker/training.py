"""Training jobs: input channels and hyperparameters in, model.tar.gz out."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moto.sagemaker.exceptions import ValidationError

from localaws import faults
from localaws.sagemaker import container, transfer
from localaws.sagemaker.context import Context
from localaws.sagemaker.errors import AlgorithmError
from localaws.sagemaker.instances import Instances, Launch, Outcome, loopback_addresses, run_instances, write_json
from localaws.sagemaker.job import Job
from localaws.sagemaker.validation import check_s3_source, check_vpc, find_image

HYPERPARAMETER_LIMIT = 2500
"""Characters of a hyperparameter's value."""


def check(request: dict[str, Any], context: Context) -> dict[str, Any]:
    """Refuse what SageMaker would; returns what the job's description has on top of the request.

    Raises
    ------
    ValidationError
        The image is unknown, a hyperparameter too long, or an input mode is asked for that needs AWS.
    """
    find_image(request["AlgorithmSpecification"].get("TrainingImage", ""), context.settings.images)
    check_vpc(request.get("VpcConfig"))
    for name, value in (request.get("HyperParameters") or {}).items():
        if len(str(value)) > HYPERPARAMETER_LIMIT:
            raise ValidationError(
                f"Hyperparameter {name} has {len(value)} characters; {HYPERPARAMETER_LIMIT} are allowed."
            )
    _check_spot(request)
    modes = [request["AlgorithmSpecification"].get("TrainingInputMode")]
    modes += [channel.get("InputMode") for channel in request.get("InputDataConfig") or []]
    if "Pipe" in modes:
        raise ValidationError("The local region has no Pipe mode. Use File or FastFile.")
    for channel in request.get("InputDataConfig") or []:
        if "S3DataSource" not in channel.get("DataSource", {}):
            raise ValidationError(f"Channel {channel['ChannelName']}: the local region reads S3 data sources only.")
        check_s3_source(channel["DataSource"]["S3DataSource"])
    if (request.get("OutputDataConfig") or {}).get("CompressionType") == "NONE":
        raise ValidationError("The local region writes models as model.tar.gz only. Leave CompressionType out.")
    return {"ModelArtifacts": {"S3ModelArtifacts": _artifacts_uri(request)}}


def _check_spot(request: dict[str, Any]) -> None:
    """Refuse a longest wait that does not go with spare capacity."""
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
        With the FailureReason.
    """
    while True:
        instances = Instances.of(folder, int((job.request.get("ResourceConfig") or {}).get("InstanceCount") or 1))
        outcome = _train(job, context, instances)
        if outcome != "Interrupted":
            break
        # Other instances take over: of what the job wrote they find the checkpoints, which are in S3.
        job.enter("Interrupted", "The spot instances were reclaimed. The job starts again when there is capacity.")
        container.remove(folder)
        job.enter("Starting", "Preparing the instances")
    job.enter("Uploading", "Uploading generated training model")
    _collect(job, context, instances)
    return outcome


def _train(job: Job, context: Context, instances: Instances) -> Outcome:
    """Run the containers once, from the download to their end."""
    specification = job.request["AlgorithmSpecification"]
    job.enter("Downloading", "Downloading input data")
    for number, root in enumerate(instances.roots):
        _prepare(job, context, instances, number, root)
    checkpoints = _checkpoints(job, context, instances)
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


def _prepare(job: Job, context: Context, instances: Instances, number: int, root: Path) -> None:
    """Lay out /opt/ml as a training container finds it."""
    for name in ("model", "output/data", "input/data", "checkpoints"):
        (root / name).mkdir(parents=True, exist_ok=True)
    config = root / "input" / "config"
    resources = job.request.get("ResourceConfig") or {}
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
    count = len(instances.hosts)
    addresses = loopback_addresses(count) if count > 1 else None
    described = instances.resource_config(number, resources.get("InstanceType", "local"), addresses)
    write_json(config / "resourceconfig.json", described)
    for channel in channels:
        transfer.download(
            context.store,
            channel["DataSource"]["S3DataSource"],
            root / "input" / "data" / channel["ChannelName"],
            host=number,
            hosts=count,
        )


def _checkpoints(job: Job, context: Context, instances: Instances) -> Any:
    """Bring earlier checkpoints, and return what copies new ones to S3."""
    configuration = job.request.get("CheckpointConfig")
    if not configuration:
        return lambda: None
    path = configuration.get("LocalPath") or "/opt/ml/checkpoints"
    synchronised = []
    for root in instances.roots:
        folder = container.local_path(root, path)
        folder.mkdir(parents=True, exist_ok=True)
        synchronised.append(transfer.ChangedFiles(context.store, folder, configuration["S3Uri"]))
    for files in synchronised:
        files.fetch()

    def copy() -> None:
        for files in synchronised:
            files.copy()

    return copy


def _collect(job: Job, context: Context, instances: Instances) -> None:
    """Put the model and the output into S3; of several instances each file once, the first one's first."""
    uri = job.details["ModelArtifacts"]["S3ModelArtifacts"]
    model, output = (_merged(instances, part) for part in ("model", "output/data"))
    transfer.upload_archive(context.store, model, uri)
    if any(output.iterdir()):
        transfer.upload_archive(context.store, output, uri.rpartition("/")[0] + "/output.tar.gz")


def _merged(instances: Instances, part: str) -> Path:
    """Return a folder with the files of all instances."""
    first, *others = (root / part for root in instances.roots)
    first.mkdir(parents=True, exist_ok=True)
    for other in others:
        for path in sorted(path for path in other.rglob("*") if path.is_file()):
            target = first / path.relative_to(other)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                path.rename(target)
    return first


def _artifacts_uri(request: dict[str, Any]) -> str:
    return f"{request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{request['TrainingJobName']}/output/model.tar.gz"


class _Metrics:
    """Reads MetricDefinitions out of the log; the last match of each is its final value."""

    def __init__(self, job: Job) -> None:
        definitions = job.request["AlgorithmSpecification"].get("MetricDefinitions") or []
        self._patterns = [(definition["Name"], re.compile(definition["Regex"])) for definition in definitions]
        self._job = job

    def read(self, line: str) -> None:
        """Look for every metric in one line."""
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
