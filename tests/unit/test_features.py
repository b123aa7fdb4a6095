from dataclasses import replace

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_visits import datasets, history_of, made_dataset
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from visitcast.data.dataset import from_frame, select_users, with_target_days
from visitcast.data.protocol import split
from visitcast.features import pipeline as features
from visitcast.features.day_statistics import merge
from visitcast.features.frames import history_frame, target_frame

TRAINING = made_dataset(users=60, seed=99)
PIPELINE = features.fit(TRAINING, before=split(TRAINING).validation_starts)


def column(values, kind, name):
    history_names, target_names = features.feature_names(PIPELINE)
    names = history_names if kind == "history" else target_names
    return getattr(values, kind)[:, names.index(name)]


@given(datasets(), st.data())
@settings(max_examples=25, deadline=None)
def test_serving_one_user_gives_the_bits_that_training_gave(dataset, data):
    user = data.draw(st.integers(0, dataset.users - 1))
    start, end = dataset.offsets[user : user + 2]
    days = data.draw(st.integers(0, end - start - 1))
    trained = features.transform(PIPELINE, dataset)
    asked = with_target_days(history_of(dataset, user, days), dataset.visit_date[[start + days]])
    served = features.transform(PIPELINE, asked)
    known = slice(start, start + days + 1)
    np.testing.assert_array_equal(served.target, trained.target[known])
    np.testing.assert_array_equal(served.log_prior, trained.log_prior[known])
    np.testing.assert_array_equal(served.history[:-1], trained.history[known][:-1])


@given(datasets())
@settings(max_examples=15, deadline=None)
def test_features_are_finite_and_named(dataset):
    values = features.transform(PIPELINE, dataset)
    history_names, target_names = features.feature_names(PIPELINE)
    assert values.history.shape == (dataset.visit_days, len(history_names))
    assert values.target.shape == (dataset.visit_days, len(target_names))
    assert len(set(history_names)) == len(history_names)
    assert len(set(target_names)) == len(target_names)
    for array in (values.history, values.target, values.log_prior):
        assert array.dtype == np.float32
        assert np.isfinite(array).all()
    np.testing.assert_allclose(np.exp(values.log_prior).sum(axis=1), 1, rtol=1e-4)


def test_the_fit_does_not_look_at_days_to_be_judged():
    """Whatever happens from validation on, the fitted values stay the same."""
    starts = split(TRAINING).validation_starts
    later = TRAINING.visit_date >= starts
    rng = np.random.default_rng(1)
    changed = {
        "first_visit_hour": np.where(later, 23, TRAINING.first_visit_hour),
        "hourly_visits": np.where(later, 1 << 23, TRAINING.hourly_visits),
        "total_time_spent_s": np.where(later, rng.integers(0, 80_000, len(later)), TRAINING.total_time_spent_s),
        "platform": np.where(later, 0, TRAINING.platform),
    }
    other = type(TRAINING)(**{**vars(TRAINING), **changed})
    assert later.any()
    one, two = features.fit(TRAINING, before=starts), features.fit(other, before=starts)
    past = np.flatnonzero(~later)
    for kind in ("history", "target", "log_prior"):
        np.testing.assert_array_equal(
            getattr(features.transform(one, TRAINING), kind)[past],
            getattr(features.transform(two, TRAINING), kind)[past],
        )


def test_what_happens_on_a_day_is_not_in_its_target_features():
    last = TRAINING.offsets[1:] - 1
    changed = {
        name: np.where(np.isin(np.arange(TRAINING.visit_days), last), value, getattr(TRAINING, name))
        for name, value in {
            "first_visit_hour": 5,
            "last_visit_hour": 6,
            "hourly_visits": 0b1100000,
            "platform": 2,
        }.items()
    }
    other = type(TRAINING)(**{**vars(TRAINING), **changed})
    np.testing.assert_array_equal(
        features.transform(PIPELINE, other).target, features.transform(PIPELINE, TRAINING).target
    )


def test_a_saved_pipeline_transforms_alike(tmp_path):
    joblib.dump(PIPELINE, tmp_path / "transformer.joblib")
    loaded = joblib.load(tmp_path / "transformer.joblib")
    np.testing.assert_array_equal(
        features.transform(loaded, TRAINING).target, features.transform(PIPELINE, TRAINING).target
    )


def made_night_owl():
    from made_visits import made_frame

    frame = made_frame(users=1, mean_days=80).iloc[:4]
    return from_frame(
        frame.assign(
            visit_date=["2026-01-30", "2026-01-31", "2026-02-01", "2026-02-08"],
            first_visit_hour=[22, 21, 0, 12],
            last_visit_hour=[23, 22, 1, 12],
            hourly_visits=[3 << 22, 3 << 21, 3, 1 << 12],
        )
    )


def test_the_calendar_of_a_target_day():
    frame = target_frame(made_night_owl())
    assert frame["day_of_week"].tolist() == [4, 5, 6, 6]
    assert frame["day_of_month"].tolist() == [30, 31, 1, 8]
    assert frame["month"].tolist() == [1, 1, 2, 2]
    assert frame["is_weekend"].tolist() == [False, True, True, True]
    assert frame["days_since_last_visit"].tolist() == [0, 1, 1, 7]
    assert frame["days_since_last_visit_is_7"].tolist() == [False, False, False, True]
    assert frame["earlier_visit_days"].tolist() == [0, 1, 2, 3]


def test_last_hour_yesterday_needs_a_visit_yesterday():
    assert target_frame(made_night_owl())["last_hour_yesterday"].tolist() == [-1, 23, 22, -1]
    values = features.transform(PIPELINE, made_night_owl())
    nights = np.stack([column(values, "target", f"night__last_hour_yesterday_{hour}") for hour in range(24)], axis=1)
    assert nights.sum(axis=1).tolist() == [0, 1, 1, 0]
    assert nights[1:3].argmax(axis=1).tolist() == [23, 22]


def test_hours_and_flags_of_a_visit_day():
    values = features.transform(PIPELINE, made_night_owl())
    assert column(values, "history", "visited__hour_21").tolist() == [0, 1, 0, 0]
    assert column(values, "history", "visited__hour_22").tolist() == [1, 1, 0, 0]
    assert column(values, "history", "first__first_visit_hour_0").tolist() == [0, 0, 1, 0]
    assert column(values, "history", "clock__first_visit_hour_sine") == pytest.approx(
        np.sin(2 * np.pi * np.array([22, 21, 0, 12]) / 24), abs=1e-6
    )


def test_scaled_features_of_the_training_days_are_centred():
    starts = split(TRAINING).validation_starts
    values = features.transform(PIPELINE, TRAINING)
    fitted = TRAINING.visit_date < starts
    amounts = column(values, "history", "amount__total_page_views")[fitted]
    assert amounts.mean() == pytest.approx(0, abs=1e-4)
    assert amounts.std() == pytest.approx(1, abs=1e-4)


def fitted_by_scikit_learn(pipeline, frames, before):
    """The same transformers, fitted by their own fit on the days themselves."""
    known = TRAINING.visit_date < before
    return [
        clone(transformer).fit(frame.iloc[known])
        for transformer, frame in zip((pipeline.history, pipeline.target), frames, strict=True)
    ]


def scalers_of(transformer):
    return [
        step[-1] if isinstance(step, Pipeline) else step
        for name, step, _ in transformer.transformers_
        if name in ("amount", "scaled")
    ]


def test_scalers_are_those_that_scikit_learn_fits():
    starts = split(TRAINING).validation_starts
    frames = (history_frame(TRAINING), target_frame(TRAINING))
    theirs = fitted_by_scikit_learn(PIPELINE, frames, starts)
    for ours, other, frame in zip((PIPELINE.history, PIPELINE.target), theirs, frames, strict=True):
        for scaler, judge in zip(scalers_of(ours), scalers_of(other), strict=True):
            for name in ("mean_", "var_", "scale_"):
                assert getattr(scaler, name).dtype == getattr(judge, name).dtype
                assert getattr(scaler, name) == pytest.approx(getattr(judge, name), rel=1e-6)
            assert scaler.n_samples_seen_ == judge.n_samples_seen_
            assert vars(scaler).keys() == vars(judge).keys()
        np.testing.assert_allclose(ours.transform(frame), other.transform(frame), rtol=1e-6, atol=1e-6)
        assert list(ours.get_feature_names_out()) == list(other.get_feature_names_out())


def test_a_constant_column_keeps_its_scale():
    flat = replace(TRAINING, total_page_views=np.full_like(TRAINING.total_page_views, 7))
    pipeline = features.fit(flat, before=split(flat).validation_starts)
    values = features.transform(pipeline, flat)
    assert column(values, "history", "amount__total_page_views") == pytest.approx(0, abs=1e-7)


@given(st.lists(st.integers(0, 3), min_size=TRAINING.users, max_size=TRAINING.users))
@settings(max_examples=15, deadline=None)
def test_a_fit_on_parts_has_the_bits_of_a_fit_on_the_whole(part_of_user):
    parts = [select_users(TRAINING, np.flatnonzero(np.array(part_of_user) == part)) for part in range(4)]
    statistics = merge([features.summarise(part) for part in parts])
    pipeline = features.fit_statistics(statistics, split(TRAINING).validation_starts)
    assert joblib.hash(pipeline) == joblib.hash(PIPELINE)


def test_frames_have_a_row_per_visit_day():
    assert len(history_frame(TRAINING)) == len(target_frame(TRAINING)) == TRAINING.visit_days
