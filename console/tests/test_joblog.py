"""The log of a job, read again and again."""

from __future__ import annotations

import time

import boto3
from moto import mock_aws

from console.data.joblog import GROUPS, Epoch, JobLog, Progress

GROUP = GROUPS["createTrainingJob"]


def put(*lines: str) -> None:
    now = int(time.time() * 1000)
    boto3.client("logs").put_log_events(
        logGroupName=GROUP,
        logStreamName="job/algo-1",
        logEvents=[{"timestamp": now + number, "message": line} for number, line in enumerate(lines)],
    )


@mock_aws
def test_each_look_reads_what_is_new() -> None:
    log = JobLog("createTrainingJob", "job")
    assert log.read() == []
    boto3.client("logs").create_log_group(logGroupName=GROUP)
    for stream in ("job/algo-1", "job-2/algo-1"):
        boto3.client("logs").create_log_stream(logGroupName=GROUP, logStreamName=stream)
    put("epoch=1/2 train_loss=3.0000 validation_log_loss=2.9000 seconds=1.0", "progress=0.50 fitting the network")
    assert len(log.read()) == 2
    assert log.read() == []
    put("epoch=2/2 train_loss=2.5000 validation_log_loss=2.8000 seconds=1.0", "progress=7 not a share")
    assert [line.text for line in log.read()][1] == "progress=7 not a share"
    assert log.epochs == [Epoch(1, 2, 3.0, 2.9), Epoch(2, 2, 2.5, 2.8)]
    assert log.progress == Progress(0.5, "fitting the network")
    assert len(log.lines) == 4
