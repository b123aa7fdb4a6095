"""The forecast workflow's jobs, from recent histories to tables and messages: time and memory by the number of users.

They run as in the images. The source SQL before them is measured with the preprocessing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.pipeline import Figure, PeakMemory
from benchmarks.random_model import write_model
from benchmarks.transform import serving, transform
from visitcast.data.dataset import select_users
from visitcast.data.histories import read_blocks
from visitcast.data.schedule import HISTORY_VISIT_DAYS
from visitcast.sending.send_window import WEEKDAYS

ROOT = Path(__file__).resolve().parents[1]
USERS = (100_000, 1_000_000)
MEAN_DAYS = 36
"""Visit days of a user in the simulator's whole history, on average; the query reads the last of them."""
USERS_PER_FILE = 20_000
UNITS = 96
_DATE = np.datetime64("2026-11-24")
_AS_OF = datetime(2026, 11, 23, 16, tzinfo=UTC)
_CAMPAIGN: dict[str, Any] = {
    "Name": "daily",
    "SendWindow": {"From": 0, "Until": 24},
    "QuietHours": {"From": 22, "Until": 7},
    "Weekdays": WEEKDAYS,
    "DatesWithoutSends": [],
    "FallbackHour": None,
    "MinimumGapHours": 12,
    "MostPushesADay": 1,
    "MostPushesAWeek": 7,
    "Policy": "visits",
    "LargestHourShare": 0.08,
    "Control": {"Salt": "bench", "GlobalBestHourShare": 0.02, "RandomHourShare": 0.02, "NoPushShare": 0.1},
    "Drift": {
        "Psi": 0.25,
        "LogLossIncreaseNats": 0.15,
        "HitRateDecrease": 0.05,
        "VisitsRatio": 1.25,
        "MinimumRows": 200,
    },
}


def run_forecast(sizes: tuple[int, ...] = USERS) -> list[Figure]:
    """Run the two processing jobs and the batch transform between them at each size, one after the other."""
    figures = []
    for users in sizes:
        with tempfile.TemporaryDirectory(prefix="forecast-") as folder:
            opt_ml = Path(folder)
            given, output = opt_ml / "processing" / "input", opt_ml / "processing" / "output"
            make_histories(given / "histories", users)
            for name in ("known", "audience", "reference", "outcomes", "realised", "answers", "campaign", "pushes"):
                (given / name).mkdir()
            write_pushes(given / "pushes" / "pushes.csv", users)
            (given / "campaign" / "campaign.json").write_text(json.dumps(_CAMPAIGN), encoding="utf-8")
            some = Path(sorted((given / "histories").iterdir())[0])
            write_model(opt_ml / "model", select_users(next(read_blocks([some], _AS_OF)), slice(0, 200)), UNITS)
            subject = f"forecast, {users:,} users"
            steps = [measured_job(subject, "requests", opt_ml)]
            (output / "users").rename(given / "users")
            steps.append(measured_transform(subject, opt_ml))
            steps.append(measured_job(subject, "plan", opt_ml))
            seconds, gigabytes = (sum(step[0].value for step in steps), max(step[1].value for step in steps))
            figures += [figure for step in steps for figure in step]
            figures += [
                Figure(subject, "whole: time", seconds, "s"),
                Figure(subject, "whole: peak memory", gigabytes, "GB"),
                *(_size(subject, folder, users) for folder in (output / "requests", output / "forecasts")),
            ]
    return figures


def _size(subject: str, folder: Path, users: int) -> Figure:
    total = sum(file.stat().st_size for file in folder.iterdir())
    return Figure(subject, f"{folder.name}: bytes a user", total / users, "B")


def measured_transform(subject: str, opt_ml: Path) -> list[Figure]:
    """Send the request files through the serving image's process, on one machine."""
    requests = opt_ml / "processing" / "output" / "requests"
    with serving(opt_ml) as (port, process):
        peak, start = PeakMemory(process.pid), time.monotonic()
        transform(port, requests, opt_ml / "processing" / "input" / "answers")
        seconds = time.monotonic() - start
        peak_bytes = peak.stop()
    return [
        Figure(subject, "transform: time", seconds, "s"),
        Figure(subject, "transform: peak memory", peak_bytes / 1e9, "GB"),
    ]


def measured_job(subject: str, job: str, opt_ml: Path) -> list[Figure]:
    """Run a job as its image does; take time and peak memory.

    Raises
    ------
    RuntimeError
        The job failed.
    """
    environment = {
        **os.environ,
        "OPT_ML_DIR": str(opt_ml),
        "VISITCAST_FORECAST_DATE": str(_DATE),
        "VISITCAST_AS_OF": f"{_AS_OF:%Y-%m-%dT%H:%M:%SZ}",
        "VISITCAST_USERS_PER_FILE": "5000",
        "VISITCAST_ENVIRONMENT": "bench",
    }
    start = time.monotonic()
    process = psutil.Popen([sys.executable, "-m", "visitcast", job], env=environment, stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        with process.oneshot():
            try:
                peak = max(peak, process.memory_info().rss)
            except psutil.NoSuchProcess:
                break
        time.sleep(0.05)
    if process.wait():
        raise RuntimeError(f"The job {job} failed: {(opt_ml / 'output' / 'message').read_text(encoding='utf-8')}")
    return [
        Figure(subject, f"{job}: time", time.monotonic() - start, "s"),
        Figure(subject, f"{job}: peak memory", peak / 1e9, "GB"),
    ]


def make_histories(folder: Path, users: int) -> None:
    """Write histories as Athena's UNLOAD does."""
    folder.mkdir(parents=True)
    for first in range(0, users, USERS_PER_FILE):
        rng = np.random.default_rng([7, first])
        count = min(USERS_PER_FILE, users - first)
        days = np.minimum(rng.geometric(1 / MEAN_DAYS, count), HISTORY_VISIT_DAYS)
        pq.write_table(histories(rng, first, days), folder / f"part-{first:08d}")


def write_pushes(file: Path, users: int) -> None:
    """Write the pushes of the six days before the date as Athena's result, one a day for each user."""
    days = int(_DATE.astype(int)) - np.arange(6, 0, -1)
    on, at = (" ".join(map(str, numbers)) for numbers in (days, days * 24 * 60 + 18 * 60))
    with file.open("w", encoding="utf-8") as stream:
        stream.write('"user_id","pushed_at","pushed_on","opted_out"\n')
        stream.writelines(f'"user-{number:08d}","{at}","{on}","0"\n' for number in range(users))


def histories(rng: np.random.Generator, first: int, days: Any) -> pa.Table:
    """Histories of users, each of whom has an hour of their own."""
    total = int(days.sum())
    offsets: Any = pa.array(np.concatenate([[0], np.cumsum(days)]).astype(np.int32))
    back = np.concatenate([np.arange(d, 0, -1) for d in days]) + 1  # Nobody has come on the day before the date yet.
    hour = np.repeat(np.rint(rng.normal(18, 4, len(days))).astype(np.int64), days) + rng.integers(-1, 2, total)
    hour %= 24
    views = rng.integers(1, 9, total)
    columns: dict[str, Any] = {
        "visit_date": pa.array((_DATE - back).astype("datetime64[D]"), pa.date32()),
        "total_time_spent_s": pa.array(rng.integers(0, 3000, total)),
        "total_page_views": pa.array(views),
        "page_views_type_1": pa.array(views),
        **{f"page_views_type_{kind}": pa.array(np.zeros(total, dtype=np.int64)) for kind in (2, 3, 4)},
        "first_visit_hour": pa.array(hour),
        "last_visit_hour": pa.array(hour),
        "hourly_visits": pa.array(1 << hour),
        "platform": pa.array(np.repeat(np.array(["ios", "android", "web"])[rng.integers(0, 3, len(days))], days)),
        "utc_offset_minutes": pa.array(np.repeat(rng.choice([-480, -300, 60, 330, 540], len(days)), days)),
    }
    lists: dict[str, Any] = {name: pa.ListArray.from_arrays(offsets, values) for name, values in columns.items()}
    return pa.table({"user_id": pa.array([f"user-{first + n:08d}" for n in range(len(days))]), **lists})
