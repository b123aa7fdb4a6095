"""The visits that pushes cause, as each forecast run has measured them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from console.data.stack import Stack, client

LOOKED_AT = 100
"""Runs that are read."""


@dataclass(frozen=True)
class Look:
    """What one run has measured.

    Attributes
    ----------
    run : str
    as_of : str
        UTC instant at which its data end.
    arms, lifts : list of dict
        See ``functions/measure_lift``.
    words : list of str
    """

    run: str
    as_of: str
    arms: list[dict[str, Any]]
    lifts: list[dict[str, Any]]
    words: list[str]


@dataclass
class Experiment:
    """A campaign with one salt: its settings and its looks, in the order of time."""

    campaign: str
    salt: str
    section: dict[str, Any]
    looks: list[Look] = field(default_factory=list)

    def shares(self) -> dict[str, float]:
        """Return the share of the users that each arm is to have."""
        control = self.section["Campaign"]["Control"]
        keys = {
            "global_best_hour": "GlobalBestHourShare",
            "random_hour": "RandomHourShare",
            "no_push": "NoPushShare",
        }
        shares = {arm: float(control[key]) for arm, key in keys.items()}
        return {"best_hour": max(0.0, 1 - sum(shares.values())), **shares}


def experiments(stack: Stack) -> list[Experiment]:
    """List the experiments of the last runs, the one that was looked at last first."""
    sfn = client("stepfunctions")
    page = sfn.list_executions(
        stateMachineArn=stack.machine("forecast"), statusFilter="SUCCEEDED", maxResults=LOOKED_AT
    )
    found: dict[tuple[str, str], Experiment] = {}
    outputs = []
    for execution in page["executions"]:
        try:
            text = sfn.describe_execution(executionArn=execution["executionArn"]).get("output", "{}")
        except ClientError as error:  # its 90 days are over
            if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
                raise
            continue
        output = json.loads(text)
        if "run" in output and "lift" in output:
            outputs.append((output["run"]["AsOf"], execution["name"], output))
    for as_of, name, output in sorted(outputs, key=lambda one: one[:2]):
        section, measured = output["run"]["Lift"], output["lift"]
        campaign = section["Campaign"]
        experiment = found.setdefault(
            (campaign["Name"], campaign["Control"]["Salt"]),
            Experiment(campaign["Name"], campaign["Control"]["Salt"], section),
        )
        experiment.section = section
        experiment.looks.append(
            Look(name, as_of, measured.get("Arms", []), measured.get("Lifts", []), measured.get("Words", []))
        )
    return sorted(found.values(), key=lambda one: one.looks[-1].as_of, reverse=True)
