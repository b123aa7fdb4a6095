"""The folder that SageMaker mounts as ``/opt/ml`` for the jobs around a batch transform; its answers are made here."""

import json
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from campaigns import CAMPAIGN
from made_visits import made_frame

from visitcast.__main__ import main
from visitcast.data import schema

DATE = date(2026, 11, 24)


def sending_folder(root, monkeypatch):
    """Lay out the inputs of both jobs below a folder and set their environment; return the folder."""
    monkeypatch.setenv("OPT_ML_DIR", str(root))
    monkeypatch.setenv("VISITCAST_FORECAST_DATE", DATE.isoformat())
    monkeypatch.setenv("VISITCAST_AS_OF", "2026-11-23T12:00:00Z")
    monkeypatch.setenv("VISITCAST_USERS_PER_FILE", "5000")
    monkeypatch.setenv("VISITCAST_ENVIRONMENT", "test")
    for name in (
        "histories",
        "known",
        "audience",
        "users",
        "answers",
        "reference",
        "outcomes",
        "realised",
        "campaign",
        "pushes",
    ):
        (root / "processing" / "input" / name).mkdir(parents=True)
    write_campaign(root / "processing")
    return root / "processing"


def write_campaign(folder, **changes):
    (folder / "input/campaign/campaign.json").write_text(json.dumps({**CAMPAIGN, **changes}))


def write_histories(folder, frame):
    frame = frame.assign(**{schema.VISIT_DATE: pd.to_datetime(frame[schema.VISIT_DATE]).dt.date})
    lists = frame.groupby(schema.USER_ID).agg(list).reset_index()
    table = pa.Table.from_pydict(lists.to_dict("list"))
    pq.write_table(table, folder / "histories" / "part-0")


def write_audience(folder, rows):
    pd.DataFrame(rows).to_csv(folder / "audience" / "audience.csv", index=False)


def write_answers(opt_ml, lines):
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (opt_ml / "input" / "answers" / "requests-00000.jsonl.out").write_text(text)


def visit_days(asked):
    return len(asked["visits"] and asked["visits"]["visit_date"])


def answer_to(line, seed=0):
    asked = json.loads(line)
    rng = np.random.default_rng([seed, visit_days(asked), ord(asked["user_id"][-1])])
    first = rng.dirichlet(np.ones(24))
    return {
        "user_id": asked["user_id"],
        "date": asked["date"],
        "first_visit_hour": first.tolist(),
        "visit_hour": rng.random(24).tolist(),
        "visit_probability": rng.uniform(0.05, 0.6) if asked["visits"] else None,
        "best_hour": 3,
        "confidence": 0.2,
        "source": "model" if visit_days(asked) >= 3 else "prior",
    }


def run_requests(opt_ml, users=40, mean_days=6.0, audience=()):
    frame = made_frame(users, mean_days)
    write_histories(opt_ml / "input", frame)
    write_audience(opt_ml / "input", list(audience) or {"user_id": []})
    main(["requests"])
    lines = [line for file in sorted((opt_ml / "output/requests").iterdir()) for line in file.read_text().splitlines()]
    table = pq.read_table(opt_ml / "output/users/users.parquet")
    pq.write_table(table, opt_ml / "input/users/users.parquet")
    return frame, lines, table.to_pandas().set_index("user_id")


def run_plan(opt_ml, lines):
    write_answers(opt_ml, [answer_to(line) for line in lines])
    main(["plan"])
    report = json.loads((opt_ml / "output/report/report.json").read_text())
    forecasts = pq.read_table(opt_ml / "output/forecasts").to_pandas().set_index("user_id")
    plans = pq.read_table(opt_ml / "output/plans").to_pandas().set_index("user_id")
    messages = [
        json.loads(line) for name in report["message_files"] for line in (opt_ml / "output/messages" / name).open()
    ]
    return report, forecasts, plans, messages


def again(opt_ml, lines):
    """The plan of the next attempt."""
    for name in ("forecasts", "plans", "messages", "report"):
        (opt_ml / "output" / name).rename(opt_ml / f"old-{name}")
    return run_plan(opt_ml, lines)


def write_pushes(opt_ml, rows):
    """Write what pushes.sql finds: pushes by user, each with its instant and local date, and users who opted out."""
    lines = ['"user_id","pushed_at","pushed_on","opted_out"']
    for user, pushes, opted_out in rows:
        minutes, days = (" ".join(str(push[place]) for push in pushes) for place in (0, 1))
        lists = f'"{minutes}","{days}"' if pushes else ","
        lines.append(f'"{user}",{lists},"{opted_out}"')
    (opt_ml / "input/pushes/q.csv").write_text("\n".join(lines) + "\n")


def write_log(opt_ml, rows=6000):
    """Write what send_log.sql finds, in a world where pushes at 20:00 bring every third user and others nobody."""
    rng = np.random.default_rng(5)
    hour, withheld = rng.integers(7, 22, rows), rng.random(rows) < 0.1
    visited = (rng.random(rows) < 0.1) | (~withheld & (hour == 20) & (rng.random(rows) < 0.3))
    log = {
        "user_id": [f"user-{number:04d}" for number in range(rows)],
        "dt": ["2026-11-20"] * rows,
        "send_hour": pa.array(hour.astype(np.int8)),
        "withheld": pa.array(np.where(withheld, "no_push", None).tolist(), pa.string()),
        "propensity": np.where(withheld, 0.1, 0.9 / 15),
        "possible_hours": pa.array([sum(1 << h for h in range(7, 22))] * rows, pa.int32()),
        "visit_probability": np.full(rows, 0.1, dtype=np.float32),
        "visit_hour": rng.random((rows, 24)).astype(np.float32).tolist(),
        "visited": pa.array(visited.astype(np.int32)),
    }
    (opt_ml / "input/log/unloaded").mkdir(parents=True)
    (opt_ml / "input/log/about.txt").write_text("written by the run")
    pq.write_table(pa.table(log), opt_ml / "input/log/unloaded/part-0")
