"""When the drift check raises an alarm, at which rate it does so without drift, and how soon with a slow one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visitcast.forecasting.profile import profile
from visitcast.sending.drift import FALSE_ALARMS, FOUR_WEEKS_AGO, TRAINING, Limits, judge, metrics, psi
from visitcast.sending.realised import ClosedDates, Interval

COUNTS = st.lists(st.integers(0, 1000), min_size=5, max_size=5)
EVALUATED = {"log_loss": 2.4, "best_hour_hit_rate": 0.5}
UNKNOWN = ClosedDates()


def made_profile(seed, users=20_000, platforms=(0.4, 0.4, 0.1, 0.1), shift=0, offsets=None):
    rng = np.random.default_rng(seed)
    hour = (rng.normal(18, 3, users).astype(int) + shift) % 24
    return profile(
        platform=rng.choice(4, users, p=platforms).astype(np.int8),
        utc_offset_minutes=(rng.choice([-720, 0, 345, 840], users) if offsets is None else offsets).astype(np.int16),
        history_days=rng.geometric(0.1, users),
        absent_days=rng.geometric(0.3, users),
        first_visit_hour=np.eye(24, dtype=np.float32)[hour],
        best_hour=hour,
        confidence=rng.random(users),
    )


def compare(now, before, limits=None):
    return judge(now, {TRAINING: before}, None, {}, UNKNOWN, limits or Limits())


@given(COUNTS, COUNTS)
def test_psi_is_symmetric_and_never_negative(before, now):
    assert psi(before, now) == pytest.approx(psi(now, before))
    assert psi(before, now) >= 0
    assert psi(before, before) == 0


def test_psi_of_a_known_shift():
    # (0.6 - 0.5) ln(0.6 / 0.5) + (0.4 - 0.5) ln(0.4 / 0.5)
    assert psi([500_000, 500_000], [600_000, 400_000]) == pytest.approx(0.0405, abs=1e-4)


def test_another_draw_of_the_same_users_is_no_drift():
    verdict = compare(made_profile(1), made_profile(2))
    assert not verdict.alarm
    assert set(verdict.psi[TRAINING]) == set(made_profile(1))
    assert max(verdict.psi[TRAINING].values()) < 0.01


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"platforms": (0.05, 0.05, 0.8, 0.1)}, ["input: platform"]),
        ({"shift": 6}, ["forecast: best hour", "forecast: first visit hour"]),
    ],
)
@pytest.mark.parametrize("reference", [TRAINING, FOUR_WEEKS_AGO])
def test_a_shift_is_named(changed, names, reference):
    references = {TRAINING: made_profile(3, **changed), FOUR_WEEKS_AGO: None, reference: made_profile(2)}
    verdict = judge(made_profile(1, **changed), references, None, {}, UNKNOWN, Limits())
    assert verdict.alarm
    assert [reason.partition(" has shifted")[0] for reason in verdict.reasons] == names
    assert all(f"against {reference}" in reason for reason in verdict.reasons)


def moved(before, after, share, users=20_000):
    """Profiles of users with one offset, before and after a share of them has another."""
    offsets = np.where(np.arange(users) < share * users, after, before)
    return made_profile(1, users, offsets=np.full(users, before)), made_profile(1, users, offsets=offsets)


@pytest.mark.parametrize("share", [0.1, 0.3, 1.0])
@pytest.mark.parametrize(("before", "after"), [(120, 60), (0, 60), (-240, -300), (-480, -420), (660, 600), (180, 120)])
def test_a_clock_change_is_no_drift(before, after, share):
    earlier, now = moved(before, after, share)
    assert compare(now, earlier).reasons == []


@pytest.mark.parametrize(("before", "after"), [(60, -300), (-300, 60), (60, 330), (330, 600), (-480, 480), (-300, 0)])
def test_users_who_move_to_another_part_of_the_world_are_drift(before, after):
    earlier, now = moved(before, after, 0.3)
    assert [reason.partition(" has")[0] for reason in compare(now, earlier).reasons] == ["input: utc offset"]


def test_few_users_raise_no_alarm():
    few = made_profile(1, users=150, platforms=(0.05, 0.05, 0.8, 0.1))
    assert compare(few, made_profile(2)).reasons == []
    assert compare(made_profile(2), few).reasons == []
    assert compare(few, made_profile(2), Limits(minimum_rows=100)).alarm


def test_the_first_run_has_nothing_to_compare_with():
    verdict = judge(made_profile(1), {TRAINING: None, FOUR_WEEKS_AGO: {}}, None, EVALUATED, UNKNOWN, Limits())
    assert verdict.alarm is False
    # CloudWatch refuses a metric without a number: what is not known is not sent.
    assert metrics(verdict, UNKNOWN, "dev") == [
        {"MetricName": "drift_limits_passed", "Value": 0, "Dimensions": [{"Name": "Environment", "Value": "dev"}]}
    ]


def outcomes(rows, log_loss, hit_rate, users=None, deviation=0.8):
    return {
        "rows": rows,
        "users": users or rows,
        "log_loss": log_loss,
        "log_loss_deviation": deviation,
        "best_hour_hit_rate": hit_rate,
    }


@pytest.mark.parametrize(
    ("realised", "reasons"),
    [
        pytest.param(outcomes(5000, 2.5, 0.47), [], id="within"),
        pytest.param(outcomes(5000, 2.6, 0.5), ["log loss"], id="log loss"),
        pytest.param(outcomes(5000, 2.4, 0.4), ["hit rate"], id="hit rate"),
        pytest.param(outcomes(10, 9.0, 0.0), [], id="too few"),
        pytest.param(outcomes(250, 2.56, 0.42), [], id="chance"),
        pytest.param(outcomes(5000, 2.56, 0.42, users=200), [], id="chance, since the rows are of few users"),
        pytest.param(outcomes(250, 2.6, 0.5, deviation=float("nan")), ["log loss"], id="without deviation"),
    ],
)
def test_outcomes_are_held_against_the_evaluation(realised, reasons):
    verdict = judge(made_profile(1), {TRAINING: made_profile(1)}, realised, EVALUATED, UNKNOWN, Limits())
    assert len(verdict.reasons) == len(reasons)
    assert all(word in reason for word, reason in zip(reasons, verdict.reasons, strict=True))
    assert verdict.realised == {name: realised[name] for name in ("rows", "log_loss", "best_hour_hit_rate")}


@pytest.mark.parametrize(
    ("ratio", "expected", "alarm"),
    [
        pytest.param(Interval(1.5, 1.3, 1.7), 900, True, id="too many expected"),
        pytest.param(Interval(0.7, 0.6, 0.78), 900, True, id="too few expected"),
        pytest.param(Interval(1.5, 1.2, 1.9), 900, False, id="perhaps"),
        pytest.param(Interval(1.2, 1.15, 1.24), 900, False, id="within"),
        pytest.param(Interval(1.5, 1.3, 1.7), 90, False, id="too few visits"),
    ],
)
def test_visits_are_held_against_those_expected(ratio, expected, alarm):
    closed = ClosedDates(28, expected, round(expected / ratio.value), ratio, 1.0)
    verdict = judge(made_profile(1), {}, None, {}, closed, Limits())
    assert verdict.alarm == alarm
    assert all("times those that came" in reason for reason in verdict.reasons)
    assert metrics(verdict, closed, "dev")[-1]["Value"] == ratio.value


# --- simulated runs --------------------------------------------------------------------------------------------------


class App:
    """An app whose users come and go, each with an hour, a platform and a rate of coming."""

    def __init__(self, seed, users):
        self.rng = np.random.default_rng(seed)
        self.hour, self.rate, self.confidence = np.zeros(users, dtype=int), np.zeros(users), np.zeros(users)
        self.platform, self.offset = np.zeros(users, dtype=np.int8), np.zeros(users, dtype=np.int16)
        self.history, self.absent = np.ones(users, dtype=int), np.ones(users, dtype=int)
        self.arrive(np.arange(users))
        self.history[:] = self.rng.integers(1, 300, users)
        self.absent[:] = self.rng.geometric(self.rate)

    def arrive(self, users):
        count = len(users)
        self.hour[users] = np.rint(self.rng.normal(18, 3, count)).astype(int) % 24
        self.rate[users] = self.rng.beta(1.5, 3, count).clip(0.03)
        self.confidence[users] = self.rng.beta(2, 4, count)
        self.platform[users] = self.rng.choice(4, count, p=[0.4, 0.4, 0.15, 0.05])
        self.offset[users] = self.rng.choice([-480, -300, 0, 60, 330], count)
        self.history[users] = self.absent[users] = 1

    def next_day(self, moved=0.0):
        """The profile of the next date; a share of the users moves from the evening to the morning for good."""
        users = len(self.hour)
        self.arrive(np.flatnonzero(self.rng.random(users) < 0.01))
        came = self.rng.random(users) < self.rate
        self.absent = np.where(came, 1, self.absent + 1)
        self.history += came
        movers = np.flatnonzero(self.rng.random(users) < moved)
        self.hour[movers] = np.rint(self.rng.normal(9, 3, len(movers))).astype(int) % 24
        best = (self.hour + self.rng.choice([-1, 0, 0, 0, 1], users)) % 24
        certain = np.eye(24, dtype=np.float32)
        return profile(
            platform=self.platform,
            utc_offset_minutes=self.offset,
            history_days=self.history,
            absent_days=self.absent,
            first_visit_hour=certain[best] * 0.5 + certain[(best + 1) % 24] * 0.25 + 0.25 / 24,
            best_hour=best,
            confidence=np.clip(self.confidence + self.rng.normal(0, 0.02, users), 0, 0.99),
        )


def alarms_of(seed, users, days, moved=0.0, trained_every=0):
    """Whether each day's run raises an alarm. Training happens before the first run and every so many days."""
    app = App(seed, users)
    profiles = [app.next_day() for _ in range(28)]
    trained, alarms = profiles[-1], []
    for day in range(days):
        if trained_every and day % trained_every == 0:
            trained = profiles[-1]
        now = app.next_day(moved)
        references = {TRAINING: trained, FOUR_WEEKS_AGO: profiles[-28]}
        alarms.append(judge(now, references, None, {}, UNKNOWN, Limits()).alarm)
        profiles.append(now)
    return alarms


@pytest.mark.parametrize("users", [250, 500, 2000])
def test_without_drift_200_days_raise_no_more_alarms_than_stated(users):
    days, worlds = 200, 8
    alarms = sum(sum(alarms_of(seed, users, days)) for seed in range(worlds))
    assert alarms <= FALSE_ALARMS * days * worlds


@pytest.mark.parametrize("trained_every", [0, 7], ids=["never trained again", "trained every week"])
@pytest.mark.parametrize(("users", "within"), [(500, 28), (5000, 21)])
def test_a_drift_of_one_percent_a_day_rings_in_time(users, within, trained_every):
    for seed in range(5):
        assert any(alarms_of(seed, users, within, moved=0.01, trained_every=trained_every))


@pytest.mark.parametrize(
    ("before", "after"), [(120, 60), (-240, -300), (60, 120)], ids=["Berlin", "New York", "spring"]
)
def test_runs_that_stop_at_drift_go_on_after_a_clock_change(before, after):
    """Users show the new offset one by one, as they come; a run that stopped would be missing four weeks later too."""
    app, trained, published, stopped = App(4, 1000), None, {}, []
    app.offset[:] = before
    for day in range(70):
        known = app.offset.copy()
        now = app.next_day()
        # Newcomers and whoever came on the day show the clock of the day.
        app.offset = np.where(app.absent == 1, after if day >= 30 else before, known).astype(np.int16)
        trained = trained or now
        references = {TRAINING: trained} | ({FOUR_WEEKS_AGO: published[day - 28]} if day - 28 in published else {})
        if judge(now, references, None, {}, UNKNOWN, Limits()).alarm:
            stopped.append(day)
        else:
            published[day] = now
    assert (stopped, len(published)) == ([], 70)
    assert set(app.offset[app.absent < 14]) == {after}


def test_chance_alone_does_not_ring_where_psi_does():
    """Two samples of 200 users from one distribution exceed a PSI of 0.25 in a quarter of all cases."""
    rng = np.random.default_rng(1)
    shares = rng.dirichlet(np.full(24, 3.0))
    pairs = [[{"forecast: best hour": rng.multinomial(200, shares).tolist()} for _ in range(2)] for _ in range(2000)]
    beyond = [psi(*(counts["forecast: best hour"] for counts in pair)) > Limits().psi for pair in pairs]
    assert np.mean(beyond) > 0.2
    assert sum(compare(*pair).alarm for pair in pairs) <= 2
