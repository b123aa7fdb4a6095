"""Processing jobs: a container with inputs from S3 and outputs to S3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from moto.sagemaker.exceptions import ValidationError

from localaws.sagemaker import container, transfer
from localaws.sagemaker.context import Context
from localaws.sagemaker.errors import AlgorithmError
from localaws.sagemaker.instances import MESSAGE_LIMIT, Instances, Launch, Outcome, run_instances, write_json
from localaws.sagemaker.job import Job
from localaws.sagemaker.validation import check_s3_source, check_vpc, find_image


def check(request: dict[str, Any], context: Context) -> dict[str, Any]:
    """Check a request and return the other parts of the job's description.

    Raises
    ------
    ValidationError
        The image is unknown, a path is not below /opt/ml/processing, or an input is not in S3.
    """
    find_image(request["AppSpecification"].get("ImageUri", ""), context.settings.images)
    check_vpc((request.get("NetworkConfig") or {}).get("VpcConfig"))
    for entry in request.get("ProcessingInputs") or []:
        if "S3Input" not in entry:
            raise ValidationError(f"Input {entry.get('InputName')}: the local region supports S3Input only.")
        check_s3_source(entry["S3Input"])
        _check_path(entry["S3Input"].get("LocalPath", ""))
    for entry in _outputs(request):
        if "S3Output" not in entry:
            raise ValidationError(f"Output {entry.get('OutputName')}: the local region supports S3Output only.")
        _check_path(entry["S3Output"].get("LocalPath", ""))
    return {}


def run(job: Job, context: Context, folder: Path) -> Outcome:
    """Run a processing job to its end.

    Raises
    ------
    JobError
        The job has failed. The message is its FailureReason.
    """
    request = job.request
    resources = (request.get("ProcessingResources") or {}).get("ClusterConfig") or {}
    instances = Instances.of(folder, int(resources.get("InstanceCount") or 1))
    for number, root in enumerate(instances.roots):
        _prepare(job, context, instances, number, resources.get("InstanceType", "local"), root)
    application = request["AppSpecification"]
    launch = Launch(
        image=find_image(application["ImageUri"], context.settings.images),
        entrypoint=application.get("ContainerEntrypoint") or [],
        arguments=application.get("ContainerArguments") or [],
        environment={
            "PROCESSING_JOB_NAME": job.name,
            "PROCESSING_JOB_ARN": job.arn,
            **(request.get("Environment") or {}),
        },
    )
    uploads = [
        transfer.ChangedFiles(context.store, container.local_path(root, output["LocalPath"]), output["S3Uri"])
        for root in instances.roots
        for output in (entry["S3Output"] for entry in _outputs(request))
        if output.get("S3UploadMode") == "Continuous"
    ]

    def upload_changes() -> None:
        for changed in uploads:
            changed.copy()

    try:
        outcome = run_instances(job, context, instances, launch, meanwhile=upload_changes)
    except AlgorithmError as error:
        reason = "AlgorithmError: See job logs for more information"
        raise AlgorithmError(reason, error.exit_code) from error
    finally:
        upload_changes()
        if message := _exit_message(instances):
            job.details["ExitMessage"] = message
    if outcome == "Completed":
        for root in instances.roots:
            for output in (entry["S3Output"] for entry in _outputs(request)):
                if output.get("S3UploadMode") != "Continuous":
                    folder = container.local_path(root, output["LocalPath"])
                    transfer.upload(context.store, folder, output["S3Uri"])
    return outcome


def _prepare(job: Job, context: Context, instances: Instances, number: int, instance_type: str, root: Path) -> None:
    """Create the content of /opt/ml for a processing container."""
    (root / "output").mkdir(parents=True, exist_ok=True)
    (root / "processing").mkdir(exist_ok=True)
    config = root / "config"
    described = {"ProcessingJobArn": job.arn, **{key: value for key, value in job.request.items() if key != "Tags"}}
    write_json(config / "processingjobconfig.json", described)
    write_json(config / "resourceconfig.json", instances.resource_config(number, instance_type))
    for entry in job.request.get("ProcessingInputs") or []:
        source = entry["S3Input"]
        target = container.local_path(root, source["LocalPath"])
        transfer.download(context.store, source, target, host=number, hosts=len(instances.hosts))
    for entry in _outputs(job.request):
        container.local_path(root, entry["S3Output"]["LocalPath"]).mkdir(parents=True, exist_ok=True)


def _outputs(request: Any) -> list[dict[str, Any]]:
    return (request.get("ProcessingOutputConfig") or {}).get("Outputs") or []


def _check_path(path: str) -> None:
    try:
        container.local_path(Path("/"), path)
    except ValueError as error:
        raise ValidationError(str(error)) from error
    if not path.startswith("/opt/ml/processing"):
        raise ValidationError(f"LocalPath {path!r} must be below /opt/ml/processing")


def _exit_message(instances: Instances) -> str:
    """Return the exit message that a container wrote, of the first one that wrote any."""
    for root in instances.roots:
        path = root / "output" / "message"
        if path.is_file() and (text := path.read_text("utf-8", "replace").strip()):
            return text[:MESSAGE_LIMIT]
    return ""
