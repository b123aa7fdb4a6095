"""The forecast workflow's own steps, without Athena and the batch transform: time and memory by the number of users."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.pipeline import Figure

ROOT = Path(__file__).resolve().parents[1]
USERS = (100_000, 1_000_000)
MEAN_DAYS = 20
USERS_PER_FILE = 20_000
_DATE = np.datetime64("2026-11-24")
_CAMPAIGN: dict[str, Any] = {
    "Name": "daily",
    "SendWindow": {"From": 0, "Until": 24},
    "QuietHours": {"From": 22, "Until": 7},
    "MinimumGapHours": 12,
    "LargestHourShare": 0.08,
    "Control": {"Salt": "bench", "GlobalBestHourShare": 0.05, "RandomHourShare": 0.05},
    "Drift": {"Psi": 0.25, "LogLossIncreaseNats": 0.15, "HitRateDecrease": 0.05, "MinimumRows": 200},
}


def run_forecast(sizes: tuple[int, ...] = USERS) -> list[Figure]:
    """Run both processing jobs at each size; the answers between them are made up, but whole and of the right form."""
    figures = []
    for users in sizes:
        with tempfile.TemporaryDirectory(prefix="forecast-") as folder:
            opt_ml = Path(folder)
            make_histories(opt_ml / "processing" / "input" / "histories", users)
            for name in ("known", "audience", "reference", "outcomes", "answers"):
                (opt_ml / "processing" / "input" / name).mkdir()
            subject = f"forecast jobs, {users:,} users"
            figures += measured(subject, "requests", opt_ml)
            output, given = opt_ml / "processing" / "output", opt_ml / "processing" / "input"
            (output / "users").rename(given / "users")
            make_answers(output / "requests", given / "answers")
            figures += measured(subject, "plan", opt_ml)
    return figures


def measured(subject: str, job: str, opt_ml: Path) -> list[Figure]:
    """Run a job as its image does; take time and peak memory.

    Raises
    ------
    RuntimeError
        The job failed.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "containers"),
        "OPT_ML_DIR": str(opt_ml),
        "VISITCAST_FORECAST_DATE": str(_DATE),
        "VISITCAST_AS_OF": "2026-11-23T12:00:00Z",
        "VISITCAST_CAMPAIGN": json.dumps(_CAMPAIGN),
        "VISITCAST_USERS_PER_FILE": "5000",
        "VISITCAST_ENVIRONMENT": "bench",
    }
    start = time.monotonic()
    process = psutil.Popen([sys.executable, "-m", "sending", job], env=environment, stdout=subprocess.DEVNULL)
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
        days = np.minimum(rng.geometric(1 / MEAN_DAYS, count), 90)
        pq.write_table(histories(rng, first, days), folder / f"part-{first:08d}")


def histories(rng: np.random.Generator, first: int, days: Any) -> pa.Table:
    """Histories of some users, each with an hour of their own."""
    total = int(days.sum())
    offsets: Any = pa.array(np.concatenate([[0], np.cumsum(days)]).astype(np.int32))
    back = np.concatenate([np.arange(d, 0, -1) for d in days])
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


def make_answers(requests: Path, answers: Path) -> None:
    """Answer every request line; the chances gather around each user's last first-visit hour."""
    for file in sorted(requests.iterdir()):
        with file.open(encoding="utf-8") as lines, (answers / f"{file.name}.out").open("w", encoding="utf-8") as out:
            for line in lines:
                user = line[12 : line.index('"', 12)]
                hour = int(line.rsplit('"first_visit_hour":', 1)[1].split(",", 1)[0])
                out.write(f'{{"user_id":"{user}","date":"{_DATE}",{_CURVES[hour]}}}\n')


def _curve(hour: int) -> str:
    away = np.abs((np.arange(24) - hour + 12) % 24 - 12)
    chance = np.exp(-0.5 * (away / 2.0) ** 2) + 0.01
    first = (chance / chance.sum()).round(6).tolist()
    return f'"first_visit_hour":{json.dumps(first)},"visit_hour":{json.dumps((0.6 * chance).round(6).tolist())}'


_CURVES = [_curve(hour) for hour in range(24)]
