"""Where SageMaker puts files in a container. No other module spells a path below /opt/ml.

The root is read from the environment at every call, so that tests and a laptop can move it.
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT_VARIABLE = "OPT_ML_DIR"


def root() -> Path:
    """Root of SageMaker's folders: ``OPT_ML_DIR``, else ``/opt/ml``."""
    return Path(os.environ.get(ROOT_VARIABLE) or "/opt/ml")


# --- every job


def output() -> Path:
    """Folder of a job's messages."""
    return root() / "output"


def failure_file() -> Path:
    """Where a training job writes why it failed (``FailureReason``, 1,024 characters)."""
    return output() / "failure"


def message_file() -> Path:
    """Where a processing job writes how it ended (``ExitMessage``, 1,024 characters)."""
    return output() / "message"


# --- processing jobs


def visits_input() -> Path:
    """CSV or Parquet files of visits, input of the preprocessing job."""
    return root() / "processing" / "input" / "visits"


def parts_input() -> Path:
    """Parts written by several preprocessing instances, input of the job that combines them."""
    return root() / "processing" / "input" / "parts"


def resource_config() -> Path:
    """Names of the job's instances, a JSON object."""
    return root() / "config" / "resourceconfig.json"


def dataset_output() -> Path:
    """Dataset, output of the preprocessing job."""
    return root() / "processing" / "output" / "dataset"


def evaluation_dataset() -> Path:
    """Dataset, input of the evaluation job."""
    return root() / "processing" / "input" / "dataset"


def candidate_model() -> Path:
    """Archive of the model to judge, input of the evaluation job."""
    return root() / "processing" / "input" / "model" / "model.tar.gz"


def production_model() -> Path:
    """Archive of the model in production, input of the evaluation job."""
    return root() / "processing" / "input" / "production" / "model.tar.gz"


def evaluation_file() -> Path:
    """Verdict on a model, output of the evaluation job."""
    return root() / "processing" / "output" / "evaluation" / "evaluation.json"


def evaluation_folds() -> Path:
    """Folder of the output of the cross-validation's training jobs, input of the evaluation job."""
    return root() / "processing" / "input" / "folds"


def evaluation_report() -> Path:
    """Report of the verdict for people, output of the evaluation job."""
    return evaluation_file().with_name("report.html")


# --- training jobs and endpoints


def training_dataset() -> Path:
    """Dataset, the training job's channel ``dataset``."""
    return root() / "input" / "data" / "dataset"


def hyperparameters_file() -> Path:
    """Hyperparameters of the training job, a JSON object of strings."""
    return root() / "input" / "config" / "hyperparameters.json"


def model() -> Path:
    """Model bundle: output of training, input of serving."""
    return root() / "model"


def output_data() -> Path:
    """Other output of a training job (learning curves)."""
    return root() / "output" / "data"


def checkpoints() -> Path:
    """Checkpoints, kept by SageMaker when a spot instance is taken away."""
    return root() / "checkpoints"


# --- the forecast workflow's processing jobs


def forecast_input(name: str) -> Path:
    """Folder of an input of a forecast job: ``histories``, ``known``, ``audience``, ``users``, ``answers``, ..."""
    return root() / "processing" / "input" / name


def campaign_file() -> Path:
    """Campaign, a JSON object, input of the forecast workflow's plan."""
    return forecast_input("campaign") / "campaign.json"


def forecast_output(name: str) -> Path:
    """Folder of an output of a forecast job: ``requests``, ``users``, ``forecasts``, ``plans``, ``messages``, ..."""
    return root() / "processing" / "output" / name
