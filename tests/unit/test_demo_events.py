"""The demo reads a user's own events, reports on them, and refuses what no model can learn from."""

from pathlib import Path

import pytest

from demo.cli import main
from demo.errors import DemoError
from demo.events import read_and_check, read_events

HEADER = "user_id,event_time,utc_offset_minutes\n"


def log(path: Path, users: int, days: int) -> Path:
    rows = [
        f"user-{user},2026-10-{day:02}T{8 + user % 9:02}:15:00Z,60\n"
        for user in range(users)
        for day in range(1, days + 1)
    ]
    path.write_text(HEADER + "".join(rows))
    return path


def test_events_that_can_be_learnt_from_come_with_their_report(tmp_path: Path) -> None:
    table, report = read_and_check(log(tmp_path / "e.csv", users=20, days=20))
    assert table.num_rows == 400
    assert "GOOD: There is enough history" in report
    assert table.equals(read_events(tmp_path / "e.csv"))


def test_too_few_users_are_refused_before_anything_is_built(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="too few visit days"):
        read_and_check(log(tmp_path / "e.csv", users=2, days=6))


def test_a_mapping_file_beside_the_events_is_used(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("who,at\na,2026-07-01T08:00:00Z\n")
    (tmp_path / "events.toml").write_text(
        'time_zone = "Europe/Berlin"\n[columns]\nuser_id = "who"\nevent_time = "at"\n'
    )
    assert read_events(tmp_path / "e.csv")["utc_offset_minutes"].to_pylist() == [120]


def test_a_wrong_option_and_a_refused_file_name_the_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = log(tmp_path / "e.csv", users=2, days=6)
    output = ["--output", str(tmp_path / "out")]
    with pytest.raises(SystemExit, match="2"):
        main(["--events", str(path), "--columns", "colour=red", *output])
    assert "Map user_id, event_time" in " ".join(capsys.readouterr().err.split())
    assert main(["--events", str(path), *output]) == 1
    assert "Supply more users or a longer period of events." in capsys.readouterr().out
