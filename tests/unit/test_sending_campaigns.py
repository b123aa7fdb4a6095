"""Gap and caps hold over campaigns and dates, in any order of runs, reruns and failures.

The plan, the files of messages, the list of plans that stand and the hand-over are the real ones, in an S3 and an SQS
of moto. Only the forecasts are made up, and a loop stands in for pushes.sql, which has a test of its own.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from handlers_in_moto import BUCKET, handler_module
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from functions.shared.standing_plans import KEY, NOTHING
from visitcast.data import schema
from visitcast.sending import job
from visitcast.sending.answers import Forecasts
from visitcast.sending.arms import ControlGroup
from visitcast.sending.drift import Limits
from visitcast.sending.plan import plan_sends
from visitcast.sending.pushes import Pushes
from visitcast.sending.send_window import SendRules
from visitcast.sending.settings import Campaign

USERS = [f"user-{number}" for number in range(7)]
DAY = 20_780
CONTROL = ControlGroup("test", 0.2, 0.2, 0.2)


@dataclass
class Run:
    """An execution of the forecast workflow, between two of its steps."""

    name: str
    campaign: str
    day: int
    hand_over: bool
    offsets: list[int]
    version: int = 0
    pushes: Pushes | None = None
    plan_of: str = ""
    """Run whose plan is published and handed over."""
    left: list[str] = field(default_factory=list)
    """Files still to be handed over."""


class Campaigns(RuleBasedStateMachine):
    """Several campaigns whose runs overtake one another, fail and are started again."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.folder = TemporaryDirectory()
        self.patch.setattr(job, "MESSAGES_PER_FILE", 3)
        self.patch.setenv("BUCKET_NAME", BUCKET)
        self.moto = handler_module(self.patch, "hand_over", "s3", "sqs")
        self.hand_over = self.moto.__enter__()
        self.patch.setenv("QUEUE_URL", self.hand_over.sqs.create_queue(QueueName="pushes")["QueueUrl"])
        from functions.publish_forecasts import app

        self.publish, self.s3 = app, self.hand_over.s3
        self.patch.setattr(app, "s3", self.s3)
        self.s3.put_object(Bucket=BUCKET, Key=KEY, Body=json.dumps(NOTHING).encode())
        self.runs: list[Run] = []
        self.plans: dict[str, tuple[list[str], list[tuple[str, int, int]]]] = {}
        self.started = 0
        self.sent: dict[str, set[tuple[str, str, str]]] = defaultdict(set)

    def teardown(self) -> None:
        self.moto.__exit__(None, None, None)
        self.folder.cleanup()
        self.patch.undo()

    @initialize(gap=st.sampled_from([0, 11, 25, 50]), a_day=st.integers(1, 3), a_week=st.integers(1, 7))
    def rules_of_all(self, gap: int, a_day: int, a_week: int) -> None:
        self.rules = SendRules((0, 0), None, 60 * gap, a_day, a_week)

    @rule(
        campaign=st.sampled_from(["alpha", "beta", "gamma"]),
        days=st.sampled_from([0, 0, 0, 1, 2, 4, 7]),
        hand_over=st.sampled_from([True, True, True, False]),
        offsets=st.lists(st.sampled_from([-720, -300, 0, 345, 840]), min_size=len(USERS), max_size=len(USERS)),
    )
    def start(self, campaign: str, days: int, hand_over: bool, offsets: list[int]) -> None:
        """Start a run, or the same campaign and date again; users may have travelled since the last one."""
        self.started += 1
        run = Run(f"run-{self.started}", campaign, DAY + days, hand_over, offsets)
        self._look(run)
        self.runs.append(run)

    @precondition(lambda self: self.unplanned())
    @rule(data=st.data())
    def plan_and_publish(self, data: st.DataObject) -> None:
        """Plan by what the run saw, perhaps long ago; look and plan again if plans have changed since."""
        run = data.draw(st.sampled_from(self.unplanned()))
        self._plan(run)
        try:
            run.plan_of = self.publish.standing_run(BUCKET, self._event(run)) or run.name
        except self.publish.PlansChanged:
            self._look(run)
            return
        run.left = list(self.plans[run.plan_of][0]) if run.hand_over else []

    @precondition(lambda self: self.published())
    @rule(data=st.data(), failure=st.sampled_from(["", "", "", "nothing is sent", "half is sent", "no record"]))
    def hand_over_file(self, data: st.DataObject, failure: str) -> None:
        """Hand over any of a run's files, perhaps with a failure that leaves the file to be handed over."""
        run = data.draw(st.sampled_from(self.published()))
        name = data.draw(st.sampled_from(run.left))
        event = {
            "Bucket": BUCKET,
            "Key": f"runs/{run.plan_of}/messages/{name}",
            "SendsPrefix": f"sends/{run.campaign}/{run.day}",
        }
        with self.patch.context() as patch:
            if failure == "no record":
                patch.setattr(self.s3, "copy_object", _refuse)
            elif failure:
                patch.setattr(self.hand_over, "BATCH", 1)
                if failure == "nothing is sent":
                    patch.setattr(self.hand_over.sqs, "send_message_batch", _refuse)
                else:
                    patch.setattr(self.hand_over, "_send", _every_other(self.hand_over._send))
            try:
                self.hand_over.handler.__wrapped__(event, None)
                run.left.remove(name)
            except OSError:
                pass
        self._receive()

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def abandon(self, data: st.DataObject) -> None:
        """Let a run fail for good wherever it is."""
        self.runs.remove(data.draw(st.sampled_from(self.runs)))

    @invariant()
    def pushes_keep_the_rules(self) -> None:
        by_user = defaultdict(list)
        for found in self.sent.values():
            # One push for a campaign, a date and a user, however often it was delivered.
            ((user, at, day),) = found
            by_user[user].append((np.datetime64(at, "m").astype(int), np.datetime64(day, "D").astype(int)))
        self._check(by_user)

    @invariant()
    def so_do_the_plans_that_stand_with_those_who_get_none(self) -> None:
        by_user = defaultdict(list)
        for user, minute, day in self._standing_pushes():
            by_user[user].append((minute, day))
        self._check(by_user)

    def unplanned(self) -> list[Run]:
        return [run for run in self.runs if not run.plan_of]

    def published(self) -> list[Run]:
        return [run for run in self.runs if run.left]

    def _check(self, by_user: dict[str, list[tuple[int, int]]]) -> None:
        for user, pushes in by_user.items():
            instants, days = zip(*pushes, strict=True)
            for one, other in combinations(instants, 2):
                assert abs(one - other) >= self.rules.minimum_gap_minutes, user
            for day in days:
                assert days.count(day) <= self.rules.most_a_day, user
                assert sum(day <= other < day + 7 for other in days) <= self.rules.most_a_week, user

    def _standing(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read())
        return found

    def _standing_pushes(self) -> list[tuple[str, int, int]]:
        """Return user, minute and local date of all pushes of the plans that stand."""
        return [push for plan in self._standing()["plans"] for push in self.plans[plan["run"]][1]]

    def _look(self, run: Run) -> None:
        run.version = self._standing()["version"]
        pushes = [(USERS.index(user), minute, day) for user, minute, day in self._standing_pushes()]
        user, minute, day = np.array(sorted(pushes), dtype=np.int32).reshape(-1, 3).T
        run.pushes = Pushes(user, minute, day, np.zeros(len(USERS), dtype=bool))

    def _plan(self, run: Run) -> None:
        rng = np.random.default_rng(len(run.campaign) * run.day)
        users = pa.table(
            {
                schema.USER_ID: USERS,
                schema.UTC_OFFSET_MINUTES: pa.array(run.offsets, pa.int16()),
                schema.TIME_ZONE: pa.array([None] * len(USERS), pa.string()),
                schema.INFERRED_TIME_ZONE: pa.array([None] * len(USERS), pa.string()),
                schema.LAST_PUSH_AT: pa.array([None] * len(USERS), pa.timestamp("s")),
            }
        )
        forecasts = Forecasts(
            np.full((len(USERS), 24), 1 / 24, dtype=np.float32),
            rng.random((len(USERS), 24), dtype=np.float32),
            np.full(len(USERS), 0.5, dtype=np.float32),
            np.full(len(USERS), schema.MODEL, dtype=object),
        )
        campaign = Campaign(run.campaign, self.rules, 1.0, CONTROL, False, Limits())
        assert run.pushes is not None
        table = plan_sends(users, forecasts, run.pushes, run.day, campaign).table
        folder = Path(self.folder.name) / f"{run.name}-{len(list(Path(self.folder.name).iterdir()))}"
        folder.mkdir()
        files = job.write_messages(folder, table, run.campaign, str(np.datetime64(run.day, "D")))
        for file in folder.iterdir():
            self.s3.put_object(Bucket=BUCKET, Key=f"runs/{run.name}/messages/{file.name}", Body=file.read_bytes())
        on_record = [pq.read_table((folder / name).with_suffix(".parquet")) for name in files]
        assert pa.concat_tables([table.slice(0, 0), *on_record]) == table
        minutes = table[schema.SEND_AT_UTC].to_numpy().astype("datetime64[m]").astype(int).tolist()
        days = table[schema.SEND_AT_LOCAL].to_numpy().astype("datetime64[D]").astype(int).tolist()
        self.plans[run.name] = files, list(zip(table[schema.USER_ID].to_pylist(), minutes, days, strict=True))

    def _event(self, run: Run) -> dict[str, Any]:
        return {
            "RunId": run.name,
            "ForecastDate": str(np.datetime64(run.day, "D")),
            "Campaign": run.campaign,
            "HandOver": run.hand_over,
            "Version": run.version,
        }

    def _receive(self) -> None:
        """Take all messages from the queue, and keep what a sender would send under each key."""
        sqs = self.hand_over.sqs
        url = sqs.get_queue_url(QueueName="pushes")["QueueUrl"]
        while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in found:
                push = json.loads(message["Body"])
                when = push["user_id"], push["send_at_utc"][:16], push["send_at_local"][:10]
                self.sent[push["idempotency_key"]].add(when)
            sqs.delete_message_batch(
                QueueUrl=url,
                Entries=[{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(found)],
            )


def _refuse(**request: Any) -> None:
    raise OSError("AWS is down")


def _every_other(send: Any) -> Any:
    count = iter(range(1000))

    def send_or_fail(batch: Any) -> Any:
        if next(count) % 2:
            raise OSError("AWS is down")
        return send(batch)

    return send_or_fail


Campaigns.TestCase.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
TestCampaigns = Campaigns.TestCase
