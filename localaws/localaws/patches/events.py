"""Patches of EventBridge."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from botocore.exceptions import ClientError

from localaws.clients import client
from localaws.identity import acting_as
from localaws.patches import Patch
from localaws.settings import Settings

log = logging.getLogger(__name__)


def patches(settings: Settings) -> list[Patch]:
    """Return the patches."""
    return [
        Patch(
            "moto.events.models:Rule.send_to_targets",
            "Disabled rules send events, and rules do not start state machines.",
            with_state_machines(settings),
        )
    ]


def with_state_machines(settings: Settings) -> Callable[[Any], Callable[..., None]]:
    """Start the executions that a matching rule asks for, as the role of each target."""

    def make(original: Callable[..., None]) -> Callable[..., None]:
        @wraps(original)
        def send_to_targets(self: Any, original_event: dict[str, Any], transform_input: bool = True) -> None:
            if self.state != "ENABLED" or not self.event_pattern.matches_event(original_event):
                return
            others = copy.copy(self)
            others.targets = [target for target in self.targets if ":states:" not in target["Arn"]]
            original(others, original_event, transform_input)
            for target in self.targets:
                if ":states:" in target["Arn"]:
                    start(settings, self.region_name, target, original_event)

        return send_to_targets

    return make


def start(settings: Settings, region: str, target: Mapping[str, Any], event: Mapping[str, Any]) -> None:
    """Start the execution of one target. EventBridge would retry for a day; the region logs the error."""
    with acting_as(target["RoleArn"]):
        try:
            client(settings, "stepfunctions", region).start_execution(
                stateMachineArn=target["Arn"], input=input_of(target, event)
            )
        except ClientError:
            log.exception("The target %s of a rule did not start", target["Arn"])


def input_of(target: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    """Return the input of a target as JSON: a constant, a part of the event, a transformed event, or the event.

    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_Target.html
    """
    from jsonpath_ng.ext import parser
    from moto.events.utils import EventTemplateParser

    if constant := target.get("Input"):
        return str(constant)
    if path := target.get("InputPath"):
        return json.dumps(parser.parse(path).find(event)[0].value)
    if transformer := target.get("InputTransformer"):
        paths = transformer.get("InputPathsMap", {})
        # moto declares a TypedDict.
        return json.dumps(EventTemplateParser.parse(transformer["InputTemplate"], paths, event))  # type: ignore[arg-type]
    return json.dumps({key: value for key, value in event.items() if key != "ingestion-time"})
