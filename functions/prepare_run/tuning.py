"""The hyperparameter search of a run, as SageMaker's API takes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def tuning_job_name(run_id: str) -> str:
    """Name a tuning job after its run, in at most 32 characters.

    >>> tuning_job_name("20261123-091500-85c438")
    'tune-261123-85c438'
    """
    day, _, digest = run_id.split("-")
    return f"tune-{day[2:]}-{digest}"


def plan_tuning(tuning: Mapping[str, Any], hyperparameters: Mapping[str, str]) -> dict[str, Any]:
    """Plan the search.

    Parameters
    ----------
    tuning
        That section of the execution input, with all defaults.
    hyperparameters
        Values of the run as strings. A hyperparameter with a value is not searched.

    Returns
    -------
    dict
        ``MaxJobs``, ``MaxParallelJobs``, ``Strategy`` and ``TimeoutSeconds`` of the input, ``ParameterRanges`` and
        ``StaticHyperparameters``.
    """
    return {
        "MaxJobs": tuning["MaxJobs"],
        "MaxParallelJobs": max(1, min(tuning["MaxParallelJobs"], tuning["MaxJobs"])),
        "Strategy": tuning["Strategy"],
        "TimeoutSeconds": tuning["TimeoutSeconds"],
        "ParameterRanges": {
            f"{kind}ParameterRanges": [
                {"Name": name, "MinValue": str(limits["Min"]), "MaxValue": str(limits["Max"]), "ScalingType": "Auto"}
                for name, limits in tuning[f"{kind}Ranges"].items()
                if name not in hyperparameters
            ]
            for kind in ("Integer", "Continuous")
        },
        "StaticHyperparameters": dict(hyperparameters),
    }
