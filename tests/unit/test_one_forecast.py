"""Endpoint, batch transform, daily tables, evaluation and the Python interface give a user the same forecast."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from campaigns import CAMPAIGN
from made_visits import from_frame, made_frame, write_histories

import visitcast
from benchmarks.random_model import write_model
from visitcast.__main__ import main
from visitcast.data import schema
from visitcast.data.dataset import Dataset
from visitcast.data.schedule import as_known
from visitcast.evaluation.as_sent import as_sent
from visitcast.model.bundle import Bundle
from visitcast.serving import scoring
from visitcast.serving.application import Application, application
from visitcast.serving.batching import Batches
from visitcast.serving.limits import Limits

DATE, EVE = "2026-11-24", "2026-11-23"
AS_OF = f"{EVE}T16:00:00Z"
"""17:00 in the users' local time."""
TOLERANCE = 1e-6
VECTORS = ["first_visit_hour", "visit_hour"]
LATE = "user-0003"
"""Comes for the first time on the eve, after the schedule's hour: nobody knows of this user yet."""
EARLY = "user-0004"
"""Comes for the first time on the eve, before the schedule's hour."""
NEW = "somebody new"


def visit(user: str, day: str, *hours: int) -> dict[str, Any]:
    row = made_frame(users=1).iloc[0].to_dict()
    mask = sum(1 << hour for hour in hours)
    times = {"first_visit_hour": hours[0], "last_visit_hour": hours[-1], "hourly_visits": mask}
    return {**row, "user_id": user, "visit_date": day, **times}


def everything() -> Dataset:
    """Visits of users with short and long histories; all come on the date, and some on the unfinished eve."""
    frame = made_frame(users=40, mean_days=8, seed=2)
    kept = [
        history.tail({"user-0000": 1, "user-0001": 2, LATE: 0, EARLY: 0}.get(user, 99))
        for user, history in frame.groupby("user_id")
    ]
    users = sorted(frame.user_id.unique())
    extra = [visit(user, DATE, 12) for user in users]
    extra += [visit(user, EVE, 8) for user in users[5::4]]
    extra += [visit(user, EVE, 3, 20) for user in [EARLY, *users[6::4]]]
    extra += [visit(user, EVE, 20, 21) for user in [LATE, *users[7::4]]]
    return from_frame(pd.concat([*kept, pd.DataFrame(extra)]))


def select_before(dataset: Dataset, date: int) -> Dataset:
    """The visit days before a date."""
    kept = dataset.visit_date < date
    offsets = np.concatenate([[0], np.cumsum(kept)])[dataset.offsets]
    return Dataset(dataset.user_ids, offsets, {name: values[kept] for name, values in dataset.columns.items()})


EVERYTHING = everything()
_DAY = np.datetime64(DATE, "D").astype(np.int64)
KNOWN = as_known(EVERYTHING, np.arange(EVERYTHING.users), np.full(EVERYTHING.users, _DAY))


def visits_so_far() -> pd.DataFrame:
    """What the workflow's query finds at the schedule's hour."""
    known = KNOWN.dataset
    columns = {"user_id": np.repeat(known.user_ids, np.diff(known.offsets)), **known.columns}
    frame = pd.DataFrame(columns).drop(index=known.offsets[1:] - 1)
    return frame.assign(
        visit_date=frame.visit_date.to_numpy().astype("datetime64[D]").astype(str),
        platform=np.array(schema.PLATFORMS)[frame.platform],
    )[list(schema.VISITS_COLUMNS)]


VISITS = visits_so_far()
USERS = [*KNOWN.dataset.user_ids.tolist(), LATE, NEW]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("model")


@pytest.fixture(scope="module")
def model(folder: Path) -> Bundle:
    write_model(folder / "model", from_frame(made_frame(users=60, mean_days=20)))
    return visitcast.load(folder / "model")


def post(app: Application, body: bytes, content_type: str) -> bytes:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", content_type.encode())]
    scope = {"type": "http", "path": "/invocations", "method": "POST", "headers": headers}
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 200, sent
    return bytes(sent[1]["body"])


def application_of(model: Bundle) -> Application:
    return application(Batches(partial(scoring.answer, model, Limits())), Limits())


@pytest.fixture(scope="module")
def from_python(model: Bundle) -> pd.DataFrame:
    visits = visitcast.read_visits(VISITS)
    return visitcast.forecast(model, visits, DATE, users=USERS, as_of=AS_OF)


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert set(found.index) == set(expected.index)
    found = found.loc[expected.index]
    for name in VECTORS:
        np.testing.assert_allclose(np.stack(found[name]), np.stack(expected[name]), rtol=0, atol=TOLERANCE)
    for name in ("visit_probability", "confidence"):
        np.testing.assert_allclose(found[name].astype(float), expected[name], rtol=0, atol=TOLERANCE)
    assert found.source.to_list() == expected.source.to_list()


def test_there_are_users_of_every_kind(from_python: pd.DataFrame) -> None:
    days = VISITS.groupby("user_id").size().reindex(USERS, fill_value=0)
    assert {0, 1, 2, 3} <= set(days)
    assert days.max() > 20
    assert (from_python.source == np.where(days < 3, "prior", "model")).all()
    assert (from_python.visit_probability.isna() == (days == 0)).all()
    eve = VISITS[VISITS.visit_date == EVE]
    # Some have come, some came and will come again, and some will come.
    assert set(eve.hourly_visits) == {1 << 3, 1 << 8}
    assert len(eve) > 10


def test_all_visits_make_the_same_forecast_as_those_so_far(model: Bundle, from_python: pd.DataFrame) -> None:
    before = select_before(EVERYTHING, _DAY)
    made = visitcast.forecast(model, before, DATE, users=USERS, as_of=AS_OF)
    assert_same(made, from_python)
    complete = visitcast.forecast(model, before, DATE, users=USERS)
    changed = complete.visit_probability != from_python.visit_probability
    assert 20 < changed.sum() < len(USERS)


def test_the_endpoint(model: Bundle, from_python: pd.DataFrame) -> None:
    # One request a user: the endpoint forks for large ones. This process must not fork, since TensorFlow's threads run.
    endpoint = application_of(model)
    forecasts = []
    for user in USERS:
        visits = VISITS[VISITS.user_id == user].drop(columns="user_id").to_dict("records")
        question = {"user_id": user, "date": DATE, "as_of": AS_OF, "visits": visits}
        answer = json.loads(post(endpoint, json.dumps({"users": [question]}).encode(), "application/json"))
        forecasts += answer["forecasts"]
    assert_same(pd.DataFrame(forecasts).set_index("user_id"), from_python)


def test_the_transform_and_the_daily_tables(
    model: Bundle, from_python: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {
        "OPT_ML_DIR": str(tmp_path),
        "VISITCAST_FORECAST_DATE": DATE,
        "VISITCAST_AS_OF": AS_OF,
        "VISITCAST_USERS_PER_FILE": "7",
        "VISITCAST_ENVIRONMENT": "test",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    given, made = tmp_path / "processing/input", tmp_path / "processing/output"
    for name in ("known", "audience", "answers", "reference", "outcomes", "realised", "campaign"):
        (given / name).mkdir(parents=True)
    write_histories(given / "histories" / "part-0", VISITS)
    pd.DataFrame({"user_id": [LATE, NEW]}).to_csv(given / "audience/audience.csv", index=False)
    (given / "campaign/campaign.json").write_text(json.dumps(CAMPAIGN))

    main(["requests"])
    (made / "users").rename(given / "users")
    answered = []
    for file in sorted((made / "requests").iterdir()):
        body = post(application_of(model), file.read_bytes(), "application/jsonlines")
        (given / "answers" / f"{file.name}.out").write_bytes(body)
        answered += [json.loads(line) for line in body.splitlines()]
    assert_same(pd.DataFrame(answered).set_index("user_id"), from_python)

    main(["plan"])
    assert_same(pq.read_table(made / "forecasts").to_pandas().set_index("user_id"), from_python)


def test_the_evaluation_as_sent(model: Bundle, from_python: pd.DataFrame) -> None:
    asked = EVERYTHING.offsets[1:] - 1
    assert (EVERYTHING.visit_date[asked] == _DAY).all()
    judged = as_sent(EVERYTHING, asked, [model])
    (forecast,) = judged.forecasts
    users = EVERYTHING.user_ids[EVERYTHING.offsets.searchsorted(judged.rows, side="right") - 1]
    found = pd.DataFrame(
        {
            "first_visit_hour": list(forecast.first_visit_hour),
            "visit_hour": list(forecast.visit_hour),
            "visit_probability": forecast.visit_probability,
            "confidence": forecast.confidence,
            "source": forecast.source,
        },
        index=users,
    )
    assert_same(found, from_python.drop(index=[LATE, NEW]))
