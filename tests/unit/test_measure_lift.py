"""The visits that pushes cause: estimate, intervals, checks and words, from sums per arm."""

from __future__ import annotations

import io
import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from lift_sums import simulated, sums
from moto import mock_aws

from functions.measure_lift import app
from functions.measure_lift.estimate import (
    ALPHA,
    Sums,
)
from functions.measure_lift.lift import (
    BEST_HOUR,
    COMPARISONS,
    DATE,
    DAY_LONG,
    GLOBAL_BEST_HOUR,
    HEADLINE,
    HIT,
    NO_PUSH,
    OPENED,
    OPTED_OUT,
    RANDOM_HOUR,
    SENT,
    Arm,
    Lift,
    Third,
    arm_shares,
    by_thirds,
    compare,
    lifts,
    table,
    whole,
)
from functions.measure_lift.words import in_words

Array = np.ndarray[Any, Any]
CONTROL = {"Salt": "a", "GlobalBestHourShare": 0.1, "RandomHourShare": 0.1, "NoPushShare": 0.2}
CAMPAIGN = {"Name": "spring", "Control": CONTROL, "PricePerPush": 0.01}
SHARES = arm_shares(CONTROL)


def arm(outcome: Sums, *, pushed: float = 1.0, dates: int = 7) -> Arm:
    """An arm whose users have a send on every date, all with the same sums."""
    sent = replace(outcome, outcomes=outcome.sends, outcomes_squared=outcome.sends_squared)
    sent = replace(sent, sends_times_outcomes=outcome.sends_squared)
    outcomes = dict.fromkeys((DATE, DAY_LONG, HIT, OPENED, OPTED_OUT), outcome)
    return Arm(dates, round(outcome.sends * pushed), {**outcomes, SENT: sent})


def arms(rng: np.random.Generator, users: int = 20_000, lift: float = 0.3) -> dict[str, Arm]:
    rates = {NO_PUSH: 0.2, **dict.fromkeys((BEST_HOUR, GLOBAL_BEST_HOUR, RANDOM_HOUR), 0.2 * (1 + lift))}
    return {
        name: arm(simulated(rng, round(users * SHARES[name]), rate), pushed=name != NO_PUSH)
        for name, rate in rates.items()
    }


@pytest.mark.parametrize("names", COMPARISONS)
def test_arms_that_do_not_have_their_shares_are_not_compared(names: tuple[str, str, str]) -> None:
    found = arms(np.random.default_rng(8))
    found[names[0]] = arm(simulated(np.random.default_rng(9), 200, 0.3))
    lift = compare(found, names, SHARES, 0.1)
    assert lift.verdict == "arms do not have their shares"
    assert lift.difference is None
    assert f"{names[0]} has 200 users" in lift.reason


def test_an_arm_without_any_users_does_not_go_unnoticed() -> None:
    found = arms(np.random.default_rng(10))
    del found[NO_PUSH]
    verdicts = {(lift.arm, lift.control): lift.verdict for lift in lifts(found, CAMPAIGN, 0.1)}
    assert verdicts[BEST_HOUR, NO_PUSH] == "arms do not have their shares"
    assert verdicts[BEST_HOUR, RANDOM_HOUR] != "arms do not have their shares"


def test_an_arm_whose_share_is_zero_is_not_compared() -> None:
    control = {**CONTROL, "NoPushShare": 0, "RandomHourShare": 0}
    found = {
        name: one for name, one in arms(np.random.default_rng(11)).items() if name in (BEST_HOUR, GLOBAL_BEST_HOUR)
    }
    assert {(one.arm, one.control) for one in lifts(found, {"Control": control}, 0.1)} == {
        (BEST_HOUR, GLOBAL_BEST_HOUR)
    }


# --- the report ------------------------------------------------------------------------------------------------------


def headline(found: dict[str, Arm], wanted: float = 0.1, price: float | None = None) -> Lift:
    return compare(found, HEADLINE, SHARES, wanted, price)


def test_a_difference_is_reported_by_push_relative_and_by_its_cost() -> None:
    found = arms(np.random.default_rng(12))
    lift = headline(found, price=0.01)
    assert lift.verdict == "higher"
    assert lift.low is not None
    assert lift.high is not None
    assert lift.difference is not None
    assert 0 < lift.low < lift.difference < lift.high
    assert lift.one_look_low is not None
    assert lift.one_look_low > lift.low
    assert lift.relative_low is not None
    assert lift.relative_high is not None
    assert lift.relative_low < 0.3 < lift.relative_high
    assert lift.per_1000_pushes == pytest.approx(1000 * lift.difference)
    assert lift.cost == pytest.approx(0.01 / lift.difference)
    assert lift.cost_low == pytest.approx(0.01 / lift.high)
    assert lift.cost_high == pytest.approx(0.01 / lift.low)


def test_users_who_opted_out_stay_in_their_arm_and_get_no_pushes() -> None:
    found = arms(np.random.default_rng(13))
    whole = headline(found)
    fewer = headline({**found, BEST_HOUR: replace(found[BEST_HOUR], pushes=found[BEST_HOUR].pushes // 2)})
    assert fewer.difference == whole.difference
    assert fewer.per_1000_pushes == pytest.approx(2 * (whole.per_1000_pushes or 0), rel=1e-3)
    none = headline({**found, BEST_HOUR: replace(found[BEST_HOUR], pushes=0)})
    assert none.per_1000_pushes is None


def test_a_sample_too_small_says_how_many_users_and_days_are_missing() -> None:
    found = arms(np.random.default_rng(14), users=3000, lift=0.0)
    lift = headline(found)
    assert lift.verdict == "sample too small"
    assert lift.difference is not None  # with its interval, which says how little is known
    assert lift.users_missing
    assert lift.days_missing
    assert f"takes {lift.users_missing:,} more users in these arms, or" in lift.reason
    # With so many more users of the same sort the answer is no longer that there are too few.
    enough = round(3000 * (1 + lift.users_missing / (lift.users + lift.control_users)) * 1.2)
    assert headline(arms(np.random.default_rng(15), users=enough, lift=0.0)).verdict == "no difference shown"


def test_very_long_waits_are_not_counted_in_days() -> None:
    reason = headline(arms(np.random.default_rng(16), users=2000, lift=0.0), wanted=0.005).reason
    assert "or more than a year with the same users" in reason


def test_hardly_any_users_give_no_figure() -> None:
    lift = headline(arms(np.random.default_rng(17), users=200))
    assert lift.verdict == "sample too small"
    assert lift.difference is None
    assert "best_hour and no_push had sends to fewer than 200 users" in lift.reason


def test_where_nobody_comes_there_is_nothing_to_relate_to() -> None:
    n = np.ones(4000, dtype=int)
    silent = {
        BEST_HOUR: arm(sums(n[:3000], 0 * n[:3000], 0.1 * n[:3000])),
        NO_PUSH: arm(sums(n[:1000], 0 * n[:1000], 0.1 * n[:1000])),
    }
    assert "nothing to relate" in headline(silent).reason


def test_harm_is_said_too() -> None:
    lift = headline(arms(np.random.default_rng(18), lift=-0.3), price=0.01)
    assert lift.verdict == "lower"
    assert lift.cost is None


def test_the_table_has_each_arm_with_its_rates() -> None:
    found = arms(np.random.default_rng(19))
    rows = table(found)
    assert [row["arm"] for row in rows] == [BEST_HOUR, GLOBAL_BEST_HOUR, RANDOM_HOUR, NO_PUSH]
    assert rows[-1]["pushes"] == 0
    assert rows[0]["sends"] == rows[0]["pushes"] == found[BEST_HOUR].outcomes[DATE].sends
    assert rows[0]["hit"] == found[BEST_HOUR].outcomes[HIT].rate


def test_words_tell_figures_intervals_costs_and_reasons() -> None:
    known = in_words(lifts(arms(np.random.default_rng(20)), CAMPAIGN, 0.1), "spring")
    words = dict(zip(COMPARISONS, known, strict=True))
    assert re.fullmatch(
        r"spring: Visits on the date, best_hour against no_push: \+\d+\.\d per 1,000 pushes \(\+\d+\.\d to "
        r"\+\d+\.\d\), \+\d+\.\d% \(\+\d+\.\d% to \+\d+\.\d%\): higher\. "
        r"A caused visit costs 0\.\d\d \(0\.\d\d to 0\.\d\d\)\.",
        words[HEADLINE],
    )
    assert "within 24 hours" in words[BEST_HOUR, NO_PUSH, DAY_LONG]
    assert "per 1,000 sends" in words[BEST_HOUR, RANDOM_HOUR, DATE]
    (refused,) = in_words([headline(arms(np.random.default_rng(21), users=200))], "")
    assert "sample too small. best_hour and no_push" in refused


# --- thirds ----------------------------------------------------------------------------------------------------------

BOUNDS = [(0.0, 0.1), (0.1, 0.3), (0.3, 1.0)]


def three(users: int = 20_000, found: tuple[float, ...] = (0.0, 0.3, 0.6)) -> dict[int, Third]:
    """Thirds with another lift each."""
    rng = np.random.default_rng(23)
    return {
        number: Third(number, *bounds, arms(rng, users, lift))
        for number, (bounds, lift) in enumerate(zip(BOUNDS, found, strict=True), start=1)
    }


def test_each_third_is_compared_with_its_own_control_at_a_third_of_the_level() -> None:
    thirds = three()
    found = by_thirds(thirds, CAMPAIGN, 0.1)
    assert [third.number for third, _ in found] == [1, 2, 3]
    for third, lift in found:
        assert lift == compare(third.arms, HEADLINE, SHARES, 0.1, CAMPAIGN["PricePerPush"], ALPHA / 3)
        single = compare(third.arms, HEADLINE, SHARES, 0.1)
        assert lift.difference == single.difference
        assert None not in (lift.low, single.low, lift.one_look_low, single.one_look_low)
        assert (lift.low or 0) < (single.low or 0) < (single.one_look_low or 0)
        assert (lift.one_look_low or 0) < (single.one_look_low or 0)
    assert [lift.verdict for _, lift in found][1:] == ["higher", "higher"]
    assert found[0][1].verdict != "higher"


def test_the_thirds_together_are_the_arms() -> None:
    thirds = three()
    merged = whole(thirds.values())
    for name, one in merged.items():
        parts = [third.arms[name] for third in thirds.values()]
        assert one.pushes == sum(part.pushes for part in parts)
        assert one.outcomes[DATE].users == sum(part.outcomes[DATE].users for part in parts)
        assert one.outcomes[DATE].rate == pytest.approx(
            sum(part.outcomes[DATE].outcomes for part in parts) / sum(part.outcomes[DATE].sends for part in parts)
        )


def test_without_an_arm_to_compare_with_there_are_no_thirds() -> None:
    assert by_thirds(three(600), {"Control": {**CONTROL, "NoPushShare": 0}}, 0.1) == []


def test_words_tell_of_thirds_that_have_a_figure() -> None:
    found = by_thirds(three(), CAMPAIGN, 0.1)
    words = list(in_words([], "spring", found))
    assert [text.partition(":")[0] for text in words] == ["spring"] * 3
    assert "against no_push, users who come least (0.0% to 10.0% on a date): " in words[0]
    assert list(in_words([], "spring", by_thirds(three(600), CAMPAIGN, 0.1))) == []


# --- the function ----------------------------------------------------------------------------------------------------


def csv_of(thirds: dict[int, Third]) -> str:
    lines = io.StringIO()
    for third in thirds.values():
        bounds = {"third": third.number, "lowest_chance": third.lowest, "highest_chance": third.highest}
        for name, one in third.arms.items():
            for outcome, of_outcome in one.outcomes.items():
                counts = {"outcome": outcome, "dates": one.dates, "pushes": one.pushes, **asdict(of_outcome)}
                row = {"arm": name, **bounds, **counts}
                if not lines.tell():
                    lines.write(",".join(f'"{column}"' for column in row) + "\n")
                lines.write(",".join(f'"{value}"' for value in row.values()) + "\n")
    return lines.getvalue()


def test_the_function_reads_the_sums_and_logs_the_metrics_that_the_dashboard_shows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "dev")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    thirds = three()
    found = whole(thirds.values())
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="results/a.csv", Body=csv_of(thirds).encode())
        monkeypatch.setattr(app, "s3", s3)
        event = {
            "OutputLocation": "s3://bucket/results/a.csv",
            "Lift": {"ResponseHours": 2, "WantedRelativeLift": 0.1, "Campaign": CAMPAIGN},
        }
        result = app.handler.__wrapped__(event, None)
    expected = lifts(found, CAMPAIGN, 0.1)
    assert result["Lifts"] == [asdict(lift) for lift in expected]
    by_third = by_thirds(thirds, CAMPAIGN, 0.1)
    assert result["Thirds"] == [
        {
            "third": name,
            "lowest_probability": low,
            "highest_probability": high,
            **asdict(lift),
        }
        for name, (low, high), (_, lift) in zip(
            ("who come least", "in between", "who come most"), BOUNDS, by_third, strict=True
        )
    ]
    assert result["Words"] == list(in_words(expected, "spring", by_third))
    assert len(result["Arms"]) == 4
    json.dumps(result)

    (blob,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "CloudWatchMetrics" in line]
    (metrics,) = blob["_aws"]["CloudWatchMetrics"]
    dashboard = (Path(__file__).parents[2] / "template.yaml").read_text(encoding="utf-8")
    (search,) = re.findall(r"SEARCH\('\{([^}]*)\} (\w+) ", dashboard)
    assert search[0].split(",") == [metrics["Namespace"], *sorted(metrics["Dimensions"][0])]
    assert all(metric["Name"].startswith(search[1]) for metric in metrics["Metrics"])
    assert (blob["Environment"], blob["Campaign"]) == ("dev", "spring")
    assert blob["caused_visits_per_1000_pushes"] == [expected[0].per_1000_pushes]
    assert blob["caused_visits_per_1000_pushes_low"] == [expected[0].per_1000_pushes_low]
