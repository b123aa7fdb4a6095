"""The operations of SageMaker's API that differ from moto's: jobs, endpoints, deletion of model packages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.responses import SageMakerResponse

from localaws.sagemaker import tuning
from localaws.sagemaker.backend import LocalSageMakerBackend
from localaws.sagemaker.job import PROCESSING, TRAINING, TRANSFORM, TUNING, Job, Kind

PAGE_SIZE = 100


class LocalSageMakerResponse(SageMakerResponse):
    """moto's SageMaker API with other operations on jobs, endpoints and model packages."""

    @property
    def _backend(self) -> LocalSageMakerBackend:
        return cast(LocalSageMakerBackend, self.sagemaker_backend)

    def create_training_job(self) -> ActionResult:
        """Answer CreateTrainingJob."""
        return self._create(TRAINING)

    def create_processing_job(self) -> ActionResult:
        """Answer CreateProcessingJob."""
        return self._create(PROCESSING)

    def create_transform_job(self) -> ActionResult:
        """Answer CreateTransformJob."""
        return self._create(TRANSFORM)

    def create_hyper_parameter_tuning_job(self) -> ActionResult:
        """Answer CreateHyperParameterTuningJob."""
        return self._create(TUNING)

    def describe_training_job(self) -> ActionResult:
        """Answer DescribeTrainingJob."""
        return self._describe(TRAINING)

    def describe_processing_job(self) -> ActionResult:
        """Answer DescribeProcessingJob."""
        return self._describe(PROCESSING)

    def describe_transform_job(self) -> ActionResult:
        """Answer DescribeTransformJob."""
        return self._describe(TRANSFORM)

    def describe_hyper_parameter_tuning_job(self) -> ActionResult:
        """Answer DescribeHyperParameterTuningJob."""
        return self._describe(TUNING)

    def stop_training_job(self) -> ActionResult:
        """Answer StopTrainingJob."""
        return self._stop(TRAINING)

    def stop_processing_job(self) -> ActionResult:
        """Answer StopProcessingJob."""
        return self._stop(PROCESSING)

    def stop_transform_job(self) -> ActionResult:
        """Answer StopTransformJob."""
        return self._stop(TRANSFORM)

    def stop_hyper_parameter_tuning_job(self) -> ActionResult:
        """Answer StopHyperParameterTuningJob."""
        return self._stop(TUNING)

    def list_training_jobs(self) -> ActionResult:
        """Answer ListTrainingJobs."""
        return self._list(TRAINING)

    def list_processing_jobs(self) -> ActionResult:
        """Answer ListProcessingJobs."""
        return self._list(PROCESSING)

    def list_transform_jobs(self) -> ActionResult:
        """Answer ListTransformJobs."""
        return self._list(TRANSFORM)

    def list_hyper_parameter_tuning_jobs(self) -> ActionResult:
        """Answer ListHyperParameterTuningJobs."""
        return self._list(TUNING)

    def list_training_jobs_for_hyper_parameter_tuning_job(self) -> ActionResult:
        """Answer ListTrainingJobsForHyperParameterTuningJob with one page, the oldest first."""
        job = self._backend.job(TUNING, self._get_param("HyperParameterTuningJobName"))
        trials = [
            entry for entry in self._backend.jobs(TRAINING).values() if entry.details.get("TuningJobArn") == job.arn
        ]
        config = job.request["HyperParameterTuningJobConfig"]
        wanted = self._get_param("StatusEquals")
        found = [tuning.summary(config, trial) for trial in trials if wanted in (None, trial.status)]
        return ActionResult({"TrainingJobSummaries": found})

    def update_endpoint(self) -> ActionResult:
        """Answer UpdateEndpoint."""
        endpoint = self._backend.update_endpoint(
            self._get_param("EndpointName"),
            self._get_param("EndpointConfigName"),
            _plain(self._get_param("DeploymentConfig")),
        )
        return ActionResult({"EndpointArn": endpoint.arn})

    def create_model(self) -> ActionResult:
        """Answer CreateModel. moto drops the network isolation."""
        answer = super().create_model()
        model = self._backend.describe_model(self._get_param("ModelName"))
        model.enable_network_isolation = bool(self._get_param("EnableNetworkIsolation"))
        return answer

    def describe_model(self) -> ActionResult:
        """Answer DescribeModel."""
        return _without_empty(super().describe_model())

    def describe_endpoint_config(self) -> ActionResult:
        """Answer DescribeEndpointConfig."""
        return _without_empty(super().describe_endpoint_config())

    def describe_endpoint(self) -> ActionResult:
        """Answer DescribeEndpoint."""
        return _without_empty(super().describe_endpoint())

    def describe_model_package(self) -> ActionResult:
        """Answer DescribeModelPackage."""
        return _without_empty(super().describe_model_package())

    def delete_model_package(self) -> ActionResult:
        """Answer DeleteModelPackage."""
        self._backend.delete_model_package(self._get_param("ModelPackageName"))
        return EmptyResult()

    def delete_model_package_group(self) -> ActionResult:
        """Answer DeleteModelPackageGroup."""
        self._backend.delete_model_package_group(self._get_param("ModelPackageGroupName"))
        return EmptyResult()

    def _create(self, kind: Kind) -> ActionResult:
        job = self._backend.create_job(kind, _plain(self._get_params()))
        return ActionResult({f"{kind.label}JobArn": job.arn})

    def _describe(self, kind: Kind) -> ActionResult:
        return ActionResult(self._backend.job(kind, self._get_param(f"{kind.label}JobName")).describe())

    def _stop(self, kind: Kind) -> ActionResult:
        self._backend.stop_job(kind, self._get_param(f"{kind.label}JobName"))
        return EmptyResult()

    def _list(self, kind: Kind) -> ActionResult:
        found = [job for job in self._backend.jobs(kind).values() if self._is_wanted(job)]
        sort_key = {"Name": lambda job: job.name, "Status": lambda job: job.status}.get(
            self._get_param("SortBy", "CreationTime"), lambda job: job.created
        )
        found.sort(key=sort_key, reverse=self._get_param("SortOrder", "Descending") == "Descending")
        start = int(self._get_param("NextToken") or 0)
        end = start + int(self._get_param("MaxResults") or PAGE_SIZE)
        answer: dict[str, Any] = {f"{kind.label}JobSummaries": [job.summary() for job in found[start:end]]}
        if end < len(found):
            answer["NextToken"] = str(end)
        return ActionResult(answer)

    def _is_wanted(self, job: Job) -> bool:
        """Return whether a job passes the filters of a List call."""
        if (self._get_param("NameContains") or "").lower() not in job.name.lower():
            return False
        if self._get_param("StatusEquals") not in (None, job.status):
            return False
        for name, moment in (("CreationTime", job.created), ("LastModifiedTime", job.modified)):
            after, before = self._get_param(f"{name}After"), self._get_param(f"{name}Before")
            if (after and moment <= _utc(after)) or (before and moment >= _utc(before)):
                return False
        return True


def _plain(value: Any) -> Any:
    """Return parameters as plain dictionaries and lists, without None."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items() if entry is not None}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return value


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _without_empty(answer: ActionResult) -> ActionResult:
    """Return an answer without empty structures: SageMaker leaves out what was not set, and its SDK relies on that."""
    described = cast("dict[str, Any]", answer.result)
    return ActionResult({name: value for name, value in described.items() if value != {}})
