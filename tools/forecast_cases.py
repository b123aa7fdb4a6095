"""Test cases of the forecast workflow with mocked responses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mocked_responses import Case, Response, function, no_quota, returns, throws, without

from functions.prepare_forecast.plan import PUSHES, QUERIES, contradictions, plan_forecast, render_queries
from functions.shared.bundle import SQL
from functions.shared.execution_input import load_schema, validated
from functions.shared.network import Network
from functions.shared.standing_plans import NOTHING

MACHINE = "visitcast-forecast-mocked"
EXECUTION = f"arn:aws:states:eu-central-1:123456789012:execution:{MACHINE}:sample"
SIDE_BY_SIDE = len([name for name in QUERIES if name != PUSHES])
"""Queries of the state "Run queries"."""
FILES = ["messages-0.jsonl", "messages-1.jsonl"]
TWICE = "0-1"
"""A run that another one overtakes plans a second time."""


def forecast(execution_input: Mapping[str, Any]) -> Response:
    """Return the response of "Prepare forecast": the real plan."""
    run = plan_forecast(
        validated(dict(execution_input), load_schema("forecast"), contradictions),
        execution_id=EXECUTION,
        started_at="2026-11-23T09:15:00.123Z",
        bucket="bucket",
        network=Network(),
    )
    queries = render_queries(run, "database", SQL)
    # The text of the SQL is long, and no state reads it.
    short = [{**query, "Sql": f"SELECT '{query['Name']}'"} for query in queries if query["Name"] != PUSHES]
    return function({**run, "Queries": short, "PushesQuery": "SELECT run FROM plans_by_run WHERE run IN ({})"})


def found_in_report(*, drifted: bool = False) -> dict[str, Any]:
    """Return the fields of report.json that the states read."""
    return {
        "metrics": [{"MetricName": "drift_largest_psi", "Value": 0.3 if drifted else 0.1}],
        "drift": {"alarm": drifted, "reasons": ["platform: PSI 0.3 is above 0.25"] if drifted else []},
        "message_files": FILES,
        "users": 3,
        "sources": {"model": 2, "prior": 1},
        "sends": {"best_hour": 3},
        "notes": [],
        "expectation": ["Visits expected in the hour of the push: 1"],
    }


def body(content: Mapping[str, Any]) -> Response:
    """Return S3's response for an object that holds JSON."""
    return returns({"Body": json.dumps(content), "ContentType": "application/json"}, TWICE)


def published(*, drifted: bool = False, invocations: str = "0") -> Response:
    """Return the response of "Publish forecasts"."""
    return function(
        {
            "PlanRunId": "run",
            "Report": found_in_report(drifted=drifted),
            "MessagesPrefix": "runs/run/messages",
            "SendsPrefix": "forecasts/sends/dt=2026-11-24/campaign=daily",
            "Tables": {"visit_forecasts": "created", "send_plans": "created", "sends": "created"},
        },
        invocations,
    )


RESPONSES: dict[str, Response] = {
    "Forecast": forecast({"HandOver": False}),
    "ForecastThatHandsOver": forecast({}),
    "ForecastThatStopsAtDrift": forecast({"OnDrift": "stop"}),
    "ForecastThatTrainsAtDrift": forecast({"OnDrift": "train"}),
    "InputRefused": throws("InvalidInput", "Horizon is not a key of the execution input."),
    "ModelInProduction": function(
        {"ModelVersion": "1", "ModelName": "model-1", "ModelDataUrl": "s3://bucket/m.tar.gz", "Environment": {}}
    ),
    "NoModelInProduction": throws("NoProductionModel", "No version of visitcast-mocked is approved."),
    "QueriesSucceeded": returns(
        {"QueryExecution": {"ResultConfiguration": {"OutputLocation": "s3://bucket/athena-results/query.csv"}}},
        f"0-{SIDE_BY_SIDE - 1}",
    ),
    "QueriesFailed": throws("States.TaskFailed", '{"StateChangeReason": "COLUMN_NOT_FOUND"}', f"0-{SIDE_BY_SIDE - 1}"),
    "RequestsBuilt": returns({"ProcessingJobName": "requests", "ProcessingJobStatus": "Completed"}),
    "RequestsNotBuilt": throws("States.TaskFailed", '{"ExitMessage": "No user has visits."}'),
    "RequestsTimedOut": throws("States.Timeout", "The task has timed out."),
    "NoRequestsQuota": no_quota("processing job"),
    "Transformed": returns({"TransformJobName": "forecast", "TransformJobStatus": "Completed"}),
    "TransformedAtTheSecondAttempt": {
        **throws("SageMaker.AmazonSageMakerException", "Rate exceeded"),
        **returns({"TransformJobName": "forecast", "TransformJobStatus": "Completed"}, "1"),
    },
    "TransformFailed": throws("States.TaskFailed", '{"FailureReason": "ClientError"}'),
    "NoTransformQuota": no_quota("transform job"),
    "Planned": returns({"ProcessingJobName": "plan", "ProcessingJobStatus": "Completed"}, TWICE),
    "PlanFailed": throws("States.TaskFailed", '{"ExitMessage": "user-1 comes twice."}'),
    "NoPlanQuota": no_quota("processing job"),
    "NoPlanStands": body(NOTHING),
    "PlansNotRead": throws("S3.NoSuchKeyException", "The specified key does not exist.", "0-4"),
    "PushesQueried": returns(
        {"QueryExecution": {"ResultConfiguration": {"OutputLocation": "s3://bucket/athena-results/pushes.csv"}}}, TWICE
    ),
    "PushesNotQueried": throws("States.TaskFailed", '{"StateChangeReason": "TABLE_NOT_FOUND"}'),
    "Report": body(found_in_report()),
    "ReportOfDrift": body(found_in_report(drifted=True)),
    "DriftMeasured": returns({}, TWICE),
    "DriftNotMeasured": throws("CloudWatch.InternalServiceFaultException", "Internal error", "0-4"),
    "Published": published(),
    "PublishedWithDrift": published(drifted=True),
    "PublishedAtTheSecondAttempt": {
        **throws("PlansChanged", "Version 1 instead of 0."),
        **published(invocations="1"),
    },
    "NotPublished": throws("AccessDeniedException", "not authorized to perform: glue:CreatePartition"),
    "HandedOver": function({"Sent": 2}, f"0-{len(FILES) - 1}"),
    "NotHandedOver": throws("SenderError", "The queue does not exist.", f"0-{len(FILES) - 1}"),
    "LiftMeasured": function({"ResponseHours": 2, "Arms": [], "Lifts": [], "Thirds": [], "Words": []}),
    "LiftNotMeasured": throws("KeyError", "'arm'"),
    "TrainingStarted": returns({"ExecutionArn": f"{EXECUTION}-train", "StartDate": "2026-11-23T09:20:00.000Z"}),
    "TrainingNotStarted": throws("StepFunctions.StateMachineDeletingException", "deleting", "0-4"),
    "Notified": returns({"MessageId": "message"}),
    "NotNotified": throws("SNS.AuthorizationErrorException", "not authorized to perform: SNS:Publish", "0-4"),
}

PREPARED: Case = {"Prepare forecast": "Forecast", "Find production model": "ModelInProduction"}
QUERIED: Case = {**PREPARED, "Run query": "QueriesSucceeded"}
REQUESTED: Case = {**QUERIED, "Build requests": "RequestsBuilt"}
FORECAST: Case = {**REQUESTED, "Forecast": "Transformed"}
ASKED: Case = {**FORECAST, "Read standing plans": "NoPlanStands", "Query pushes": "PushesQueried"}
PLANNED: Case = {**ASKED, "Plan sends": "Planned", "Read report": "Report", "Publish metrics": "DriftMeasured"}
PUBLISHED: Case = {**PLANNED, "Publish forecasts": "Published"}
FINISHED: Case = {**PUBLISHED, "Measure lift": "LiftMeasured", "Notify": "Notified"}
HANDED_OVER: Case = {"Prepare forecast": "ForecastThatHandsOver", "Hand over file": "HandedOver"}
RETRAINED: Case = {
    **FINISHED,
    **HANDED_OVER,
    "Prepare forecast": "ForecastThatTrainsAtDrift",
    "Read report": "ReportOfDrift",
    "Publish forecasts": "PublishedWithDrift",
    "Start training": "TrainingStarted",
}

CASES: dict[str, tuple[str, Case]] = {
    "Published": ("Forecasts published", FINISHED),
    "HandedOver": (
        "Forecasts published",
        {**FINISHED, **HANDED_OVER, "Forecast": "TransformedAtTheSecondAttempt", "Publish metrics": "DriftNotMeasured"},
    ),
    "DriftIsReported": (
        "Forecasts published",
        {**FINISHED, "Read report": "ReportOfDrift", "Publish forecasts": "PublishedWithDrift"},
    ),
    "DriftTrains": ("Forecasts published", RETRAINED),
    "DriftStops": (
        "Forecasts drifted",
        {**PLANNED, "Prepare forecast": "ForecastThatStopsAtDrift", "Read report": "ReportOfDrift"},
    ),
    "BadInput": ("Input rejected", {"Prepare forecast": "InputRefused"}),
    "NoModel": ("Production model not found", {**PREPARED, "Find production model": "NoModelInProduction"}),
    "SqlFails": ("Source SQL failed", {**PREPARED, "Run query": "QueriesFailed"}),
    "NoRequests": ("Requests not built", {**QUERIED, "Build requests": "RequestsNotBuilt"}),
    "RequestsTakeTooLong": ("Step timed out", {**QUERIED, "Build requests": "RequestsTimedOut"}),
    "NoQuotaForRequests": ("Instance quota too low", {**QUERIED, "Build requests": "NoRequestsQuota"}),
    "TransformFails": ("Forecast failed", {**REQUESTED, "Forecast": "TransformFailed"}),
    "NoQuotaToForecast": ("Instance quota too low", {**REQUESTED, "Forecast": "NoTransformQuota"}),
    "NoListOfPlans": ("Source SQL failed", {**FORECAST, "Read standing plans": "PlansNotRead"}),
    "PushesSqlFails": (
        "Source SQL failed",
        {**FORECAST, "Read standing plans": "NoPlanStands", "Query pushes": "PushesNotQueried"},
    ),
    "BadForecasts": ("Forecasts invalid", {**ASKED, "Plan sends": "PlanFailed"}),
    "NoQuotaToPlan": ("Instance quota too low", {**ASKED, "Plan sends": "NoPlanQuota"}),
    "NotPublished": ("Forecasts not published", {**PLANNED, "Publish forecasts": "NotPublished"}),
    "PlansAgain": ("Forecasts published", {**FINISHED, "Publish forecasts": "PublishedAtTheSecondAttempt"}),
    "NotHandedOver": (
        "Messages not handed over",
        {**PUBLISHED, **HANDED_OVER, "Hand over file": "NotHandedOver"},
    ),
    "NoLift": ("Lift not measured", {**PUBLISHED, "Measure lift": "LiftNotMeasured"}),
    "TrainingNotStarted": (
        "Training not started",
        {**without(RETRAINED, "Notify"), "Start training": "TrainingNotStarted"},
    ),
    "NotNotified": ("Notification not sent", {**FINISHED, "Notify": "NotNotified"}),
}
"""Each case by name: its last state, and the response of every Task state on its path."""
