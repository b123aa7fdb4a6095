"""Every alarm of the template: what must ring it, and what must not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from alarm_states import ALARMS, PARAMETERS, Samples, rings, seconds_back

MINUTE, HOUR, DAY = 60, 3600, 86400
NOW = 1.0
"""Age of a sample that has just come, in seconds."""
Values = Sequence[tuple[float, float]]


def at(*ages: float, value: float = 1) -> Values:
    return [(age, value) for age in ages]


def train(metric: str, values: Values) -> Samples:
    return Samples("AWS/States", metric, {"StateMachineArn": "TrainStateMachine"}, values)


def forecast(metric: str, values: Values) -> Samples:
    return Samples("AWS/States", metric, {"StateMachineArn": "ForecastStateMachine"}, values)


def endpoint(metric: str, values: Values, name: str = "visitcast-dev", namespace: str = "AWS/SageMaker") -> Samples:
    return Samples(namespace, metric, {"EndpointName": name, "VariantName": "AllTraffic"}, values)


def cpu(values: Values) -> Samples:
    return endpoint("CPUUtilization", values, namespace="/aws/sagemaker/Endpoints")


def publisher(metric: str, values: Values) -> Samples:
    return Samples("AWS/Lambda", metric, {"FunctionName": "PublishForecastsFunction"}, values)


def queue(name: str, metric: str, values: Values) -> Samples:
    return Samples("AWS/SQS", metric, {"QueueName": f"{name}.QueueName"}, values)


def drift(values: Values, environment: str = "dev") -> Samples:
    return Samples("visitcast", "drift_limits_passed", {"Environment": environment}, values)


VISIBLE, AGE = "ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"
HOURLY = [hour * HOUR for hour in range(24 * 8)]
LATENCY = {"fast": at(*range(1, 300), value=20_000), "slow": at(*range(1, 300, 2), value=2_000_000)}
FEW_SLOW = [(age, 2_000_000 if age % 200 == 0 else 20_000) for age in range(1, 300)]

RINGS: dict[str, dict[str, list[Samples]]] = {
    "RunFailedAlarm": {"a run failed": [train("ExecutionsFailed", at(NOW))]},
    "RunTimedOutAlarm": {"a run took five days": [train("ExecutionsTimedOut", at(NOW))]},
    "NoSuccessAlarm": {
        "nothing ever ran": [],
        "all runs failed": [train("ExecutionsFailed", at(*HOURLY))],
        "the last success was a week ago": [train("ExecutionsSucceeded", at(7 * DAY + HOUR))],
    },
    "MissedStartAlarm": {"a start is kept": [queue("MissedStartsQueue", VISIBLE, at(NOW))]},
    "EndpointErrorsAlarm": {
        "errors for two minutes": [endpoint("Invocation5XXErrors", at(NOW, 70))],
        "errors, a minute without, errors": [endpoint("Invocation5XXErrors", at(NOW, 130))],
    },
    "EndpointLatencyAlarm": {
        "half of the requests are slow": [
            endpoint("ModelLatency", LATENCY["fast"]),
            endpoint("ModelLatency", LATENCY["slow"]),
        ],
        "slow for the last three minutes": [endpoint("ModelLatency", at(*range(1, 175), value=2_000_000))],
    },
    "EndpointIdleAlarm": {
        "nobody asked for three days": [cpu(at(*HOURLY, value=0.3))],
        "nobody has asked since the day before": [
            cpu(at(*HOURLY, value=0.3)),
            endpoint("Invocations", at(3 * DAY + HOUR)),
        ],
    },
    "ForecastFailedAlarm": {"a forecast failed": [forecast("ExecutionsFailed", at(NOW))]},
    "ForecastTimedOutAlarm": {"a forecast took a day": [forecast("ExecutionsTimedOut", at(NOW))]},
    "NoForecastAlarm": {
        "nothing was published": [],
        "the last was published 27 hours ago": [publisher("Invocations", at(27 * HOUR))],
        "every publication failed": [
            publisher("Invocations", at(HOUR, 2 * HOUR)),
            publisher("Errors", at(HOUR, 2 * HOUR)),
        ],
    },
    "DriftAlarm": {"one limit is passed": [drift(at(NOW))], "three limits are passed": [drift(at(NOW, value=3))]},
    "PushesWaitAlarm": {"a push is older than an hour": [queue("PushQueue", AGE, at(NOW, value=HOUR + 1))]},
    "PushesRefusedAlarm": {"a push is in the dead letters": [queue("PushDeadLetters", VISIBLE, at(NOW))]},
}

STAYS_SILENT: dict[str, dict[str, list[Samples]]] = {
    "RunFailedAlarm": {
        "nothing happens": [],
        "a run succeeds": [train("ExecutionsSucceeded", at(NOW))],
        "a person stops a run": [train("ExecutionsAborted", at(NOW))],
        "a forecast fails": [forecast("ExecutionsFailed", at(NOW))],
        "a run failed ten minutes ago": [train("ExecutionsFailed", at(10 * MINUTE))],
    },
    "RunTimedOutAlarm": {"nothing happens": [], "a run fails": [train("ExecutionsFailed", at(NOW))]},
    "NoSuccessAlarm": {
        "a run succeeded five days ago": [train("ExecutionsSucceeded", at(5 * DAY))],
        "one succeeded, others failed": [
            train("ExecutionsSucceeded", at(2 * DAY)),
            train("ExecutionsFailed", at(NOW, DAY)),
        ],
    },
    "MissedStartAlarm": {
        "nothing happens": [],
        "the queue is empty": [queue("MissedStartsQueue", VISIBLE, at(NOW, value=0))],
        "pushes are waiting": [queue("PushQueue", VISIBLE, at(NOW, value=100))],
    },
    "EndpointErrorsAlarm": {
        "there is no endpoint": [],
        "errors for one minute": [endpoint("Invocation5XXErrors", at(1, 2, 3))],
        "requests without errors": [endpoint("Invocation5XXErrors", at(NOW, 70, 130, value=0))],
        "bad requests": [endpoint("Invocation4XXErrors", at(NOW, 70, 130))],
        "errors of another endpoint": [endpoint("Invocation5XXErrors", at(NOW, 70, 130), name="visitcast-prod")],
    },
    "EndpointLatencyAlarm": {
        "there is no endpoint": [],
        "all requests are fast": [endpoint("ModelLatency", LATENCY["fast"])],
        "slow for two minutes": [endpoint("ModelLatency", at(*range(1, 115), value=2_000_000))],
        "exactly a second": [endpoint("ModelLatency", at(*range(1, 300), value=1_000_000))],
        "one request in two hundred is slow": [endpoint("ModelLatency", FEW_SLOW)],
    },
    "EndpointIdleAlarm": {
        "there is no endpoint": [],
        "a serverless endpoint, which has no CPU metric": [endpoint("Invocations", at(5 * DAY))],
        "one request today": [cpu(at(*HOURLY, value=0.3)), endpoint("Invocations", at(HOUR))],
        "the endpoint is two days old": [cpu(at(*HOURLY[:47], value=0.3))],
    },
    "ForecastFailedAlarm": {
        "nothing happens": [],
        "a forecast succeeds": [forecast("ExecutionsSucceeded", at(NOW))],
        "a training fails": [train("ExecutionsFailed", at(NOW))],
    },
    "ForecastTimedOutAlarm": {"nothing happens": [], "a forecast fails": [forecast("ExecutionsFailed", at(NOW))]},
    "NoForecastAlarm": {
        "published an hour ago": [publisher("Invocations", at(HOUR)), publisher("Errors", at(HOUR, value=0))],
        "published 25 hours ago": [publisher("Invocations", at(25 * HOUR))],
        "published at the second attempt": [
            publisher("Invocations", at(HOUR + 100, HOUR + 200)),
            publisher("Errors", at(HOUR + 100)),
        ],
    },
    "DriftAlarm": {
        "nothing happens": [],
        "no limit is passed": [drift(at(NOW, value=0))],
        "another environment drifts": [drift(at(NOW), environment="prod")],
    },
    "PushesWaitAlarm": {
        "the queue is empty": [],
        "a push is read soon": [queue("PushQueue", AGE, at(NOW, value=HOUR - 1))],
        "a missed start waits": [queue("MissedStartsQueue", AGE, at(NOW, value=DAY))],
    },
    "PushesRefusedAlarm": {
        "nothing happens": [],
        "the dead letters are empty": [queue("PushDeadLetters", VISIBLE, at(NOW, value=0))],
        "pushes are waiting": [queue("PushQueue", VISIBLE, at(NOW, value=100))],
    },
}


def test_no_alarm_is_left_out() -> None:
    assert RINGS.keys() == STAYS_SILENT.keys() == ALARMS.keys()


def cases(table: dict[str, dict[str, list[Samples]]]) -> list[object]:
    return [
        pytest.param(alarm, world, id=f"{alarm}: {state}")
        for alarm, states in table.items()
        for state, world in states.items()
    ]


@pytest.mark.parametrize(("alarm", "world"), cases(RINGS))
def test_it_rings(alarm: str, world: list[Samples]) -> None:
    assert rings(alarm, *world)


@pytest.mark.parametrize(("alarm", "world"), cases(STAYS_SILENT))
def test_it_stays_silent(alarm: str, world: list[Samples]) -> None:
    assert not rings(alarm, *world)


@pytest.mark.parametrize("alarm", ALARMS)
def test_cloudwatch_takes_it_and_somebody_is_told(alarm: str) -> None:
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html, EvaluationPeriods
    assert seconds_back(alarm) <= 7 * DAY
    assert ALARMS[alarm]["AlarmActions"] == [{"Ref": "AlarmTopic"}]


@pytest.mark.parametrize("later", [0, 2 * HOUR, 20 * HOUR])
def test_the_default_schedule_rings_nothing_where_a_run_takes_longer_than_the_one_before(later: int) -> None:
    """Runs end half an hour after Monday and Thursday, 03:00; one of them `later`. The alarm is looked at each hour."""
    assert PARAMETERS["ScheduleExpression"] == "cron(0 3 ? * MON,THU *)"
    ends = [week * 7 * DAY + day * DAY + 3.5 * HOUR for week in range(4) for day in (0, 3)]
    ends[4] += later
    for now in range(int(ends[0]) + HOUR, int(ends[-1]), HOUR):
        succeeded = [now - end for end in ends if end <= now]
        assert not rings("NoSuccessAlarm", train("ExecutionsSucceeded", at(*succeeded))), now / DAY


@pytest.mark.parametrize("later", [0, HOUR])
def test_a_daily_forecast_rings_nothing_where_a_run_takes_longer_than_the_one_before(later: int) -> None:
    ends = [day * DAY + 4.5 * HOUR for day in range(6)]
    ends[3] += later
    assert max(end - start for start, end in pairwise(ends)) == DAY + later
    for now in range(int(ends[0]) + HOUR, int(ends[-1]), 10 * MINUTE):
        published = [now - end for end in ends if end <= now]
        assert not rings("NoForecastAlarm", publisher("Invocations", at(*published))), now / HOUR
