"""Batch transform jobs: the input objects are sent to a model server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from moto.sagemaker.exceptions import ValidationError

from localaws.identity import acting_as
from localaws.sagemaker import transfer
from localaws.sagemaker.context import Context
from localaws.sagemaker.errors import JobError
from localaws.sagemaker.instances import Outcome
from localaws.sagemaker.job import TRANSFORM, Job
from localaws.sagemaker.serving import HEALTH_CHECK_SECONDS, ModelServer
from localaws.sagemaker.validation import check_s3_source

PAYLOAD_MEBIBYTES = 6
"""Default of MaxPayloadInMB."""


def check(request: dict[str, Any], context: Context) -> dict[str, Any]:
    """Check a request and return the other parts of the job's description.

    Raises
    ------
    ValidationError
        A feature is not supported.
    """
    del context
    check_s3_source(request["TransformInput"]["DataSource"]["S3DataSource"])
    split = request["TransformInput"].get("SplitType") or "None"
    if split not in ("None", "Line"):
        raise ValidationError(f"The local region supports the SplitTypes Line and None, not {split}.")
    if (request.get("DataProcessing") or {}).get("JoinSource") == "Input":
        raise ValidationError("The local region does not support the JoinSource Input.")
    return {}


def run(job: Job, context: Context, folder: Path, model: Mapping[str, Any]) -> Outcome:
    """Run a transform job to its end.

    Parameters
    ----------
    model
        Container definition of the model.

    Raises
    ------
    JobError
        The job has failed. The message is its FailureReason.
    """
    # A transform job has no role of its own. It reads and writes as the role of its model.
    with acting_as(model.get("ExecutionRoleArn") or ""):
        return _run(job, context, folder, model)


def _run(job: Job, context: Context, folder: Path, model: Mapping[str, Any]) -> Outcome:
    source = job.request["TransformInput"]["DataSource"]["S3DataSource"]
    inputs, outputs = folder / "transform-input", folder / "transform-output"
    transfer.download(context.store, source, inputs)
    files = sorted(path for path in inputs.rglob("*") if path.is_file())
    instances = int(job.request["TransformResources"].get("InstanceCount") or 1)
    # Instances share whole objects. One without an object is not started.
    shares = [share for host in range(instances) if (share := files[host::instances])]

    def work(host: int) -> bool:
        targets = {path: outputs / f"{path.relative_to(inputs)}.out" for path in shares[host]}
        return _run_instance(job, context, folder / f"container-{host + 1}", model, f"algo-{host + 1}", targets)

    with ThreadPoolExecutor(max(1, len(shares))) as pool:
        if not all(list(pool.map(work, range(len(shares))))):
            return "Stopped"
    outputs.mkdir(exist_ok=True)
    transfer.upload(context.store, outputs, job.request["TransformOutput"]["S3OutputPath"])
    return "Completed"


def _run_instance(
    job: Job, context: Context, folder: Path, model: Mapping[str, Any], host: str, targets: Mapping[Path, Path]
) -> bool:
    """Start the model server of one instance and transform its files. Return False if the job was stopped."""
    mebibytes = job.request.get("MaxPayloadInMB")
    environment = {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(PAYLOAD_MEBIBYTES if mebibytes is None else mebibytes),
        **(job.request.get("Environment") or {}),
    }
    stream = f"{job.name}/{host}"
    server = ModelServer(context, "transform", job.name, model, folder, TRANSFORM.log_group, stream, environment)
    try:
        try:
            server.wait_until_healthy(HEALTH_CHECK_SECONDS, job.stop_requested)
        except JobError as error:
            if job.stop_requested.is_set():
                return False
            raise JobError(f"AlgorithmError: Model server did not become healthy: {error}") from error
        return all(_transform(job, server, source, target) for source, target in targets.items())
    finally:
        server.stop()


def _transform(job: Job, server: ModelServer, source: Path, target: Path) -> bool:
    """Transform one file. Return False if the job was stopped."""
    target.parent.mkdir(parents=True, exist_ok=True)
    glue = b"\n" if job.request["TransformOutput"].get("AssembleWith") == "Line" else b""
    headers = {"Content-Type": job.request["TransformInput"].get("ContentType") or "application/octet-stream"}
    if accept := job.request["TransformOutput"].get("Accept"):
        headers["Accept"] = accept

    def invoke(payload: bytes) -> bytes:
        if job.stop_requested.is_set():
            return b""
        reply = server.invoke(payload, headers)
        if reply.status != 200:
            text = reply.body.decode("utf-8", "replace")[:500]
            raise JobError(
                f"ClientError: {source.name}: Bad HTTP status received from algorithm: {reply.status}: {text}"
            )
        return reply.body

    workers = int(job.request.get("MaxConcurrentTransforms") or 1)
    with target.open("wb") as file, ThreadPoolExecutor(max(1, workers)) as pool:
        for reply in pool.map(invoke, _payloads(job, source)):
            file.write(reply)
            if glue and not reply.endswith(glue):
                file.write(glue)
    return not job.stop_requested.is_set()


def _payloads(job: Job, path: Path) -> Iterator[bytes]:
    """Split a file into request bodies."""
    if (job.request["TransformInput"].get("SplitType") or "None") == "None":
        yield path.read_bytes()
        return
    limit = int(job.request.get("MaxPayloadInMB") or PAYLOAD_MEBIBYTES) * 1024 * 1024
    several = job.request.get("BatchStrategy") != "SingleRecord"
    payload = b""
    with path.open("rb") as file:
        for line in file:
            if payload and (not several or len(payload) + len(line) > limit):
                yield payload
                payload = b""
            payload += line
    if payload:
        yield payload
