"""What the application costs: one run, one month of endpoint, one million forecasts.

    python tools/costs.py [--write docs/costs.md]

Reckoned from the defaults of the execution input (instance types), durations that stand below, and the list prices of
``prices.json`` with their date.
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
    """What is reckoned with.

    Attributes
    ----------
    preprocess_minutes, train_minutes, evaluate_minutes
        Billed time of each job, its start included: SageMaker bills from the first download to the last upload.
    scanned_gb
        What the source SQL reads.
    transitions
        State transitions of one run; most are looks at the endpoint.
    forecast_milliseconds, forecasts_per_request
        Of an endpoint, warm.
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
"""Of one image: most of it is the download of packages."""


def run_cost(workload: Workload, types: Mapping[str, str], prices: Prices, *, spot: bool = False) -> float:
    """Return what one training run costs, in dollars."""
    hour = prices["instance_hour"]
    discount = 1 - prices["spot_discount"] if spot else 1.0
    jobs = (
        workload.preprocess_minutes * hour[types["Preprocessing"]]
        + workload.train_minutes * hour[types["Training"]] * discount
        + workload.evaluate_minutes * hour[types["Evaluation"]]
    ) / 60
    athena = max(workload.scanned_gb / 1024, 10 / 1024**2) * prices["athena_tb_scanned"]  # 10 MB at least
    return float(jobs + athena + workload.transitions * prices["state_transition"])


def endpoint_month(instance_type: str, prices: Prices) -> float:
    """Return what an instance endpoint costs in a month, asked or not."""
    return float(prices["instance_hour"][instance_type] * prices["hours_per_month"])


def standing_month(prices: Prices) -> float:
    """Return what the stack costs in a month in which nothing runs: key, alarms, dashboard."""
    return float(prices["kms_key_month"] + ALARMS * prices["alarm_month"] + prices["dashboard_month"])


def image_builds(prices: Prices) -> float:
    """Return what building all images costs; they are built anew only when containers/ has changed."""
    return float(IMAGES * BUILD_MINUTES * prices["codebuild_medium_minute"])


def million_on_serverless(workload: Workload, prices: Prices) -> float:
    """Return what a million forecasts cost on a serverless endpoint, billed by time and memory."""
    requests = 1_000_000 / workload.forecasts_per_request
    seconds = requests * workload.forecast_milliseconds / 1000
    return float(seconds * SERVERLESS_GB * prices["serverless_gb_second"])


def million_in_a_batch(types: Mapping[str, str], prices: Prices, minutes: float = 6) -> float:
    """Return what a million forecasts cost as one transform job."""
    return float(minutes / 60 * prices["instance_hour"][types["Training"]])


def default_types() -> dict[str, str]:
    """Read the default instance type of each section from the execution input's schema."""
    sections = json.loads(SCHEMA.read_text(encoding="utf-8"))["properties"]
    return {
        name: section["properties"]["InstanceType"]["default"]
        for name, section in sections.items()
        if "InstanceType" in section.get("properties", {})
    }


def table(prices: Prices) -> Iterator[str]:
    """Yield the table's lines."""
    types = default_types()
    yield f"List prices of {prices['region']}, {prices['date']}, in US dollars. {prices['note']}"
    yield ""
    yield "| what | reckoned with | dollars |"
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
    yield f"| a month of endpoint | one {instance}, asked or not | {endpoint_month(instance, prices):.2f} |"
    yield "| a month of endpoint that nobody asks | `EndpointMode=serverless` | 0.00 |"
    yield "| a month without endpoint | `EndpointMode=none` | 0.00 |"
    yield f"| a month of the stack itself | key, {ALARMS} alarms, dashboard | {standing_month(prices):.2f} |"
    month = endpoint_month(instance, prices)
    yield f"| a million forecasts on that endpoint | its month has room for more | {month:.2f} |"
    serverless = million_on_serverless(WORKLOADS[0], prices)
    yield (
        f"| a million forecasts, `EndpointMode=serverless` | {SERVERLESS_GB} GB, "
        f"{WORKLOADS[0].forecasts_per_request} users in {WORKLOADS[0].forecast_milliseconds:g} ms, "
        f"cold starts not counted | {serverless:.2f} |"
    )
    batch = million_in_a_batch(types, prices)
    yield f"| a million forecasts in a batch | 6 minutes of {types['Training']} | {batch:.2f} |"


def main() -> None:
    """Print the table, or put it into a document between its marks."""
    parser = argparse.ArgumentParser(description="Reckon what the application costs.")
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
