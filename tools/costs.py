"""Estimate the application's costs: one run, one month of the endpoint, one million forecasts.

    python tools/costs.py [--write docs/costs.md]

Computed from the default instance types of the execution input, the durations below and the dated list prices of
``prices.json``.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import marked_part

ROOT = Path(__file__).resolve().parents[1]
PRICES = Path(__file__).with_name("prices.json")
SCHEMA = ROOT / "statemachine" / "train.input.schema.json"

Prices = Mapping[str, Any]


@dataclass(frozen=True)
class Workload:
    """Assumptions about a workload.

    Attributes
    ----------
    preprocess_minutes, train_minutes, evaluate_minutes
        Billed time of each job: SageMaker bills from the first download to the last upload.
    scanned_gb
        Data that the source SQL scans.
    transitions
        State transitions of one run; most poll the endpoint.
    forecast_milliseconds, forecasts_per_request
        Latency and batch size of a warm endpoint.
    """

    name: str
    preprocess_minutes: float
    train_minutes: float
    evaluate_minutes: float
    scanned_gb: float
    transitions: int = 120
    forecast_milliseconds: float = 50
    forecasts_per_request: int = 100


WORKLOADS = (
    Workload("a million events", 4, 8, 4, 0.03),
    Workload("a hundred million events", 20, 180, 30, 3),
)
SERVERLESS_GB = 2
"""ServerlessMemoryMB of the template."""
ALARMS = len(
    re.findall("^    Type: AWS::CloudWatch::Alarm$", (ROOT / "template.yaml").read_text(encoding="utf-8"), re.MULTILINE)
)
IMAGES = len(list(ROOT.glob("containers/*/Dockerfile")))
BUILD_MINUTES = 6
"""Build time of one image; most of it downloads packages."""


def run_cost(workload: Workload, types: Mapping[str, str], prices: Prices, *, spot: bool = False) -> float:
    """Return the cost of one training run in dollars."""
    hour = prices["instance_hour"]
    discount = 1 - prices["spot_discount"] if spot else 1.0
    jobs = (
        workload.preprocess_minutes * hour[types["Preprocessing"]]
        + workload.train_minutes * hour[types["Training"]] * discount
        + workload.evaluate_minutes * hour[types["Evaluation"]]
    ) / 60
    athena = max(workload.scanned_gb / 1024, 10 / 1024**2) * prices["athena_tb_scanned"]  # 10 MB at least
    return float(jobs + athena) + transitions(workload.transitions, prices)


def endpoint_month(instance_type: str, prices: Prices) -> float:
    """Return the monthly cost of an instance endpoint, with or without requests."""
    return float(prices["instance_hour"][instance_type] * prices["hours_per_month"])


def standing_month(prices: Prices) -> float:
    """Return the monthly cost of an idle stack: key, alarms, dashboard."""
    return float(prices["kms_key_month"] + ALARMS * prices["alarm_month"] + prices["dashboard_month"])


def image_builds(prices: Prices) -> float:
    """Return the cost of building all images, which happens only when containers/ has changed."""
    return float(IMAGES * BUILD_MINUTES * prices["codebuild_medium_minute"])


def million_on_serverless(workload: Workload, prices: Prices) -> float:
    """Return the cost of a million forecasts on a serverless endpoint, billed by time and memory."""
    requests = 1_000_000 / workload.forecasts_per_request
    seconds = requests * workload.forecast_milliseconds / 1000
    return float(seconds * SERVERLESS_GB * prices["serverless_gb_second"])


def million_in_a_batch(types: Mapping[str, str], prices: Prices, minutes: float = 6) -> float:
    """Return the cost of a million forecasts as one transform job."""
    return float(minutes / 60 * prices["instance_hour"][types["Training"]])


def instance_hours(hours: Mapping[str, float], prices: Prices) -> float:
    """Return the cost of instances by the hours of each type; a type without a price costs nothing here."""
    return float(sum(number * prices["instance_hour"].get(name, 0.0) for name, number in hours.items()))


def transitions(number: int, prices: Prices) -> float:
    """Return the cost of state transitions."""
    return float(number * prices["state_transition"])


def standing_hour(prices: Prices) -> float:
    """Return the hourly cost of an idle stack."""
    return standing_month(prices) / float(prices["hours_per_month"])


def default_types() -> dict[str, str]:
    """Read the default instance type of each section from the execution input's schema."""
    sections = json.loads(SCHEMA.read_text(encoding="utf-8"))["properties"]
    return {
        name: section["properties"]["InstanceType"]["default"]
        for name, section in sections.items()
        if "InstanceType" in section.get("properties", {})
    }


def table(prices: Prices) -> Iterator[str]:
    """Yield the lines of the Markdown table."""
    types = default_types()
    yield f"List prices of {prices['region']}, {prices['date']}, in US dollars. {prices['note']}"
    yield ""
    yield "| what | assumptions | dollars |"
    yield "| --- | --- | ---: |"
    builds = f"{IMAGES} builds of {BUILD_MINUTES} minutes"
    yield f"| the images, once and after each change of containers/ | {builds} | {image_builds(prices):.2f} |"
    for workload in WORKLOADS:
        minutes = (
            f"{workload.preprocess_minutes:g} + {workload.train_minutes:g} + {workload.evaluate_minutes:g} minutes"
        )
        cost, cheaper = run_cost(workload, types, prices), run_cost(workload, types, prices, spot=True)
        jobs = f"{minutes} of {types['Training']}, {workload.scanned_gb:g} GB scanned"
        yield f"| one run, {workload.name} | {jobs} | {cost:.2f} |"
        yield f"| the same with `SpotTraining=yes` | {prices['spot_discount']:.0%} off the training | {cheaper:.2f} |"
    instance = types["Endpoint"]
    month = endpoint_month(instance, prices)
    yield f"| a month of the endpoint | one {instance}, with or without requests | {month:.2f} |"
    yield "| a month of an endpoint without requests | `EndpointMode=serverless` | 0.00 |"
    yield "| a month without an endpoint | `EndpointMode=none` | 0.00 |"
    yield f"| a month of the stack itself | key, {ALARMS} alarms, dashboard | {standing_month(prices):.2f} |"
    yield f"| a million forecasts on that endpoint | its month has capacity for more | {month:.2f} |"
    serverless = million_on_serverless(WORKLOADS[0], prices)
    yield (
        f"| a million forecasts, `EndpointMode=serverless` | {SERVERLESS_GB} GB, "
        f"{WORKLOADS[0].forecasts_per_request} users in {WORKLOADS[0].forecast_milliseconds:g} ms, "
        f"cold starts not counted | {serverless:.2f} |"
    )
    batch = million_in_a_batch(types, prices)
    yield f"| a million forecasts in a batch | 6 minutes of {types['Training']} | {batch:.2f} |"


def main() -> None:
    """Print the table or write it into a document between its marks."""
    parser = argparse.ArgumentParser(description="Estimate the application's costs.")
    parser.add_argument("--prices", type=Path, default=PRICES, help="list prices (%(default)s)")
    parser.add_argument("--write", type=Path, help="a Markdown file with the marks costs:begin and costs:end")
    arguments = parser.parse_args()
    lines = table(json.loads(arguments.prices.read_text(encoding="utf-8")))
    if arguments.write is None:
        print(*lines, sep="\n")
    else:
        marked_part.write(arguments.write, "costs", lines)


if __name__ == "__main__":
    main()
