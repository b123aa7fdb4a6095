"""The state of an alarm of the template for given samples of metrics. moto keeps alarms but does not evaluate them.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
"""

from __future__ import annotations

import operator
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from samcli.yamlhelper import yaml_parse

TEMPLATE: Any = yaml_parse((Path(__file__).resolve().parents[2] / "template.yaml").read_text(encoding="utf-8"))
PARAMETERS = {name: parameter.get("Default") for name, parameter in TEMPLATE["Parameters"].items()}
ALARMS: dict[str, dict[str, Any]] = {
    name: resource["Properties"]
    for name, resource in TEMPLATE["Resources"].items()
    if resource["Type"] == "AWS::CloudWatch::Alarm"
}
COMPARISONS = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
Series = dict[int, float]
"""Datapoints by period: 0 is the newest. A period without samples has none."""


@dataclass(frozen=True)
class Samples:
    """Samples of one metric.

    Attributes
    ----------
    namespace, name, dimensions
        The metric's identity. A value is a resource's logical id, ``Id.Attribute``, or a text with the defaults of the
        parameters.
    at
        Values by age in seconds.
    """

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    at: Sequence[tuple[float, float]] = field(default=())


def rings(alarm: str, *world: Samples) -> bool:
    """Return whether an alarm is in the state ALARM."""
    properties = ALARMS[alarm]
    series, breaches = _series(properties, world), COMPARISONS[properties["ComparisonOperator"]]
    periods = int(_value(properties["EvaluationPeriods"]))
    missing = {"breaching": True, "notBreaching": False}[properties["TreatMissingData"]]
    breaching = [
        breaches(series[period], float(properties["Threshold"])) if period in series else missing
        for period in range(periods)
    ]
    return sum(breaching) >= properties.get("DatapointsToAlarm", periods)


def seconds_back(alarm: str) -> int:
    """Return how far an alarm looks back."""
    properties = ALARMS[alarm]
    periods = {m["MetricStat"]["Period"] for m in properties.get("Metrics", []) if "MetricStat" in m}
    (period,) = periods or {properties["Period"]}
    return int(period) * int(_value(properties["EvaluationPeriods"]))


def _series(properties: Mapping[str, Any], world: Sequence[Samples]) -> Series:
    if "Metrics" not in properties:
        metric = {key: properties[key] for key in ("Namespace", "MetricName", "Dimensions")}
        statistic = properties.get("Statistic") or properties["ExtendedStatistic"]
        return _aggregated(metric, statistic, properties["Period"], world)
    named = {
        part["Id"]: _aggregated(stat["Metric"], stat["Stat"], stat["Period"], world)
        for part in properties["Metrics"]
        if (stat := part.get("MetricStat"))
    }
    (expression,) = [part["Expression"] for part in properties["Metrics"] if part.get("ReturnData", True)]
    found = {}
    for period in {period for series in named.values() for period in series}:
        values = {name: series.get(period) for name, series in named.items()}
        if (value := _calculated(expression, values)) is not None:
            found[period] = value
    return found


def _aggregated(metric: Mapping[str, Any], statistic: str, period: int, world: Sequence[Samples]) -> Series:
    dimensions = {item["Name"]: _value(item["Value"]) for item in metric["Dimensions"]}
    values = defaultdict(list)
    for samples in world:
        if (samples.namespace, samples.name, samples.dimensions) == (
            metric["Namespace"],
            metric["MetricName"],
            dimensions,
        ):
            for age, value in samples.at:
                values[int(age // period)].append(value)
    return {number: _statistic(statistic, found) for number, found in values.items()}


def _statistic(name: str, values: list[float]) -> float:
    if name.startswith("p"):
        return float(np.percentile(values, float(name[1:])))
    return float({"Sum": sum, "Maximum": max, "Minimum": min}[name](values))


def _calculated(expression: str, values: Mapping[str, float | None]) -> float | None:
    """Return the value of metric math for one period. An operation on a missing value has no value."""
    functions = {
        "FILL": lambda value, other: other if value is None else value,
        "IF": lambda condition, value: value if condition else None,
    }
    try:
        result: float | None = eval(expression, {"__builtins__": {}}, {**functions, **values})
    except TypeError:
        return None
    return result


def _value(value: Any) -> str:
    """Return a value of the template: the default of a parameter, a resource's logical id, ``Id.Attribute``."""
    match value:
        case {"Ref": name}:
            return str(PARAMETERS.get(name, name))
        case {"Fn::GetAtt": [name, attribute]}:
            return f"{name}.{attribute}"
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{(\w+)\}", lambda found: _value({"Ref": found[1]}), text)
    return str(value)
