import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_visits import datasets, history_of, made_dataset

from visitcast.data.calendar import is_weekend
from visitcast.data.dataset import hour_flags, of_columns, select_users, user_of_row, with_target_days
from visitcast.data.schedule import known_flags
from visitcast.features import histograms
from visitcast.features.histograms import (
    Channel,
    decayed_histograms,
    histograms_before,
    last_histograms,
    shares,
    visit_days_behind,
    with_eve_so_far,
)
from visitcast.features.smoothing import circular_kernel, smooth


def weights_of_earlier_days(channel, dates, target):
    """How much each earlier day counts on the target day, from the definition of a half-life."""
    visits_ago = np.arange(len(dates), 0, -1) - 1
    match channel:
        case Channel.FIRST_ALL | Channel.VISITED_ALL:
            return np.ones(len(dates))
        case Channel.FIRST_40 | Channel.FIRST_10 | Channel.FIRST_3:
            return 0.5 ** (visits_ago / int(channel.name.removeprefix("FIRST_")))
        case Channel.VISITED_15 | Channel.VISITED_3:
            return 0.5 ** (visits_ago / int(channel.name.removeprefix("VISITED_")))
        case Channel.FIRST_30_CALENDAR_DAYS:
            return 0.5 ** ((target - dates) / 30)
        case Channel.FIRST_SAME_DAY_TYPE_40:
            return decayed_among(is_weekend(dates) == is_weekend(target), half_life=40)
        case Channel.FIRST_SAME_WEEKDAY_10 | Channel.VISITED_SAME_WEEKDAY_10:
            return decayed_among((target - dates) % 7 == 0, half_life=10)


def decayed_among(same, half_life):
    """Weigh the days of the target's kind by how many of them came since."""
    return same * 0.5 ** ((np.cumsum(same[::-1])[::-1] - 1) / half_life)


def by_hand(dataset):
    """Sum over all earlier days for every day: slow and plain."""
    result = np.zeros((dataset.visit_days, len(Channel), 24))
    visited = hour_flags(dataset.hourly_visits)
    for user in range(dataset.users):
        start, end = dataset.offsets[user : user + 2]
        for row in range(start, end):
            earlier = slice(start, row)
            for channel in Channel:
                weights = weights_of_earlier_days(channel, dataset.visit_date[earlier], dataset.visit_date[row])
                if channel.name.startswith("VISITED"):
                    result[row, channel] = weights @ visited[earlier]
                else:
                    np.add.at(result[row, channel], dataset.first_visit_hour[earlier], weights)
    return result


@given(datasets())
@settings(max_examples=25, deadline=None)
def test_one_scan_gives_what_the_definition_gives(dataset):
    np.testing.assert_allclose(decayed_histograms(dataset), by_hand(dataset), rtol=2e-5, atol=1e-6)


@given(datasets(), st.data())
@settings(max_examples=25, deadline=None)
def test_a_row_depends_on_earlier_days_alone_and_a_user_alone_gets_the_same_bits(dataset, data):
    user = data.draw(st.integers(0, dataset.users - 1))
    start, end = dataset.offsets[user : user + 2]
    days = data.draw(st.integers(0, end - start - 1))
    alone = with_target_days(history_of(dataset, user, days), dataset.visit_date[[start + days]])
    np.testing.assert_array_equal(decayed_histograms(alone), decayed_histograms(dataset)[start : start + days + 1])


@given(datasets())
@settings(max_examples=15, deadline=None)
def test_visit_days_behind_a_channel_are_its_decayed_days(dataset):
    days = visit_days_behind(decayed_histograms(dataset))
    for channel in Channel:
        expected = [
            weights_of_earlier_days(channel, dataset.visit_date[start:row], dataset.visit_date[row]).sum()
            for start, end in itertools.pairwise(dataset.offsets)
            for row in range(start, end)
        ]
        np.testing.assert_allclose(days[:, channel], expected, rtol=1e-5, atol=1e-6)


@given(st.floats(0.3, 6), st.integers(0, 23))
def test_smoothing_keeps_the_total_and_follows_the_clock(width, hour):
    one = np.zeros((1, 24), dtype=np.float32)
    one[0, hour] = 3
    smoothed = smooth(one, width)
    assert smoothed.sum() == pytest.approx(3, rel=1e-4)
    np.testing.assert_array_equal(smoothed, np.roll(smooth(np.roll(one, -hour, axis=1), width), hour, axis=1))
    assert smoothed[0, (hour + 1) % 24] == smoothed[0, (hour - 1) % 24]
    assert smoothed.argmax() == hour


@given(datasets(), st.floats(0.4, 3))
@settings(max_examples=15, deadline=None)
def test_smoothing_is_the_product_with_the_circulant_kernel(dataset, width):
    counts = decayed_histograms(dataset)[:, Channel.FIRST_40]
    kernel = circular_kernel(width)
    circulant = np.array([[kernel[(i - j) % 24] for j in range(24)] for i in range(24)])
    np.testing.assert_allclose(smooth(counts, width), counts @ circulant, rtol=1e-4, atol=1e-4)


@given(st.integers(250, 600), st.floats(0.4, 3), st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_a_histogram_alone_is_smoothed_to_the_bits_that_it_gets_among_others(rows, width, seed):
    counts = np.random.default_rng(seed).random((rows, 24), dtype=np.float32)
    together = smooth(counts, width)
    for row in (0, rows // 2, rows - 1):
        np.testing.assert_array_equal(smooth(counts[row : row + 1], width)[0], together[row])


def test_shares_move_from_the_prior_to_the_counts():
    prior = np.full(24, 1 / 24, dtype=np.float32)
    counts = np.zeros((3, 24), dtype=np.float32)
    counts[1, 8], counts[2, 8] = 8, 1e6
    mixed = shares(counts, prior, prior_weight=8)
    np.testing.assert_allclose(mixed.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(mixed[0], prior)
    assert mixed[1, 8] == pytest.approx(0.5 + 0.5 / 24)
    assert mixed[2, 8] == pytest.approx(1, abs=1e-4)


def test_no_rows():
    assert decayed_histograms(history_of(made_dataset(users=1), user=0, days=0)).shape == (0, len(Channel), 24)


@given(datasets())
def test_the_last_rows_alone_have_the_histograms_of_the_scan(dataset):
    expected = decayed_histograms(dataset)[dataset.offsets[1:] - 1]
    np.testing.assert_allclose(last_histograms(dataset), expected, rtol=2e-5, atol=1e-6)


@given(datasets(), st.data())
def test_a_user_alone_has_the_bits_of_the_last_histograms_among_others(dataset, data):
    user = data.draw(st.integers(0, dataset.users - 1))
    alone = select_users(dataset, slice(user, user + 1))
    np.testing.assert_array_equal(last_histograms(alone)[0], last_histograms(dataset)[user])


@settings(deadline=None)
@given(datasets(), st.data(), st.sampled_from([1, 20, 10_000]))
def test_histograms_of_some_rows_are_those_of_all(dataset, data, rows_of_a_block):
    rows = np.flatnonzero(data.draw(st.lists(st.booleans(), min_size=dataset.visit_days, max_size=dataset.visit_days)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(histograms, "_ROWS_OF_A_BLOCK", rows_of_a_block)
        np.testing.assert_array_equal(histograms_before(dataset, rows), decayed_histograms(dataset)[rows])


@given(datasets(), st.integers(0, 24))
@settings(deadline=None)
def test_an_eve_so_far_is_a_day_with_its_hours_so_far(dataset, hours):
    user = user_of_row(dataset)
    rows = np.flatnonzero((np.diff(user, prepend=-1) == 0) & (np.diff(dataset.visit_date, prepend=0) == 1))
    known = known_flags(dataset.hourly_visits[rows - 1], np.full(len(rows), float(hours)))
    found = with_eve_so_far(dataset, rows, decayed_histograms(dataset)[rows], known)
    for place, row in enumerate(rows):
        start, eve_seen = dataset.offsets[user[row]], known[place].any()
        alone = take_rows(dataset, [*range(start, row - 1 + eve_seen), row])
        if eve_seen:
            alone.columns["hourly_visits"][-2] = (known[place] << np.arange(24)).sum()
            if not known[place][alone.first_visit_hour[-2]]:
                alone.columns["first_visit_hour"][-2] = np.flatnonzero(known[place])[0]
        np.testing.assert_allclose(found[place], decayed_histograms(alone)[-1], rtol=1e-4, atol=1e-5)


def take_rows(dataset, rows):
    """One user's dataset of some rows."""
    return of_columns(
        np.array(["user"]), np.array([0, len(rows)]), {name: values[rows] for name, values in dataset.columns.items()}
    )
