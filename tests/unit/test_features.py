import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_visits import changed, datasets, from_frame, history_of, made_dataset, made_frame
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from visitcast.data import schema
from visitcast.data.dataset import with_target_days
from visitcast.data.protocol import split
from visitcast.features import encoding
from visitcast.features.definition import COLUMNS, Days
from visitcast.features.encoding import history_names, target_names
from visitcast.features.pipeline import FeaturePipeline

TRAINING = made_dataset(users=60, seed=99)
STARTS = split(TRAINING).validation_starts
PIPELINE = FeaturePipeline(before=STARTS).fit(TRAINING)


def features_of(dataset, pipeline=PIPELINE):
    return encoding.transform(pipeline.encoding_, dataset)


def column(values, kind, name):
    names = history_names() if kind == "history" else target_names()
    return getattr(values, kind)[:, names.index(name)]


@given(datasets(), st.data())
@settings(max_examples=25, deadline=None)
def test_serving_one_user_gives_the_bits_that_training_gave(dataset, data):
    user = data.draw(st.integers(0, dataset.users - 1))
    start, end = dataset.offsets[user : user + 2]
    days = data.draw(st.integers(0, end - start - 1))
    trained = features_of(dataset)
    asked = with_target_days(history_of(dataset, user, days), dataset.visit_date[[start + days]])
    served = features_of(asked)
    known = slice(start, start + days + 1)
    np.testing.assert_array_equal(served.target, trained.target[known])
    np.testing.assert_array_equal(served.log_prior, trained.log_prior[known])
    np.testing.assert_array_equal(served.history[:-1], trained.history[known][:-1])


@given(datasets())
@settings(max_examples=15, deadline=None)
def test_features_are_finite_and_named(dataset):
    values = features_of(dataset)
    assert values.history.shape == (dataset.visit_days, len(history_names()))
    assert values.target.shape == (dataset.visit_days, len(target_names()))
    for names in (history_names(), target_names()):
        assert len(set(names)) == len(names)
    for array in (values.history, values.target, values.log_prior):
        assert array.dtype == np.float32
        assert np.isfinite(array).all()
    np.testing.assert_allclose(np.exp(values.log_prior).sum(axis=1), 1, rtol=1e-4)


def test_the_fit_does_not_look_at_days_to_be_judged():
    """Whatever happens from validation on, the fitted values stay the same."""
    later = TRAINING.visit_date >= STARTS
    rng = np.random.default_rng(1)
    other = changed(
        TRAINING,
        first_visit_hour=np.where(later, 23, TRAINING.first_visit_hour),
        hourly_visits=np.where(later, 1 << 23, TRAINING.hourly_visits),
        total_time_spent_s=np.where(later, rng.integers(0, 80_000, len(later)), TRAINING.total_time_spent_s),
        platform=np.where(later, 0, TRAINING.platform),
    )
    assert later.any()
    another = FeaturePipeline(before=STARTS).fit(other)
    past = np.flatnonzero(~later)
    for kind in ("history", "target", "log_prior"):
        np.testing.assert_array_equal(
            getattr(features_of(TRAINING), kind)[past], getattr(features_of(TRAINING, another), kind)[past]
        )


def test_what_happens_on_a_day_is_not_in_its_target_features():
    is_last = np.isin(np.arange(TRAINING.visit_days), TRAINING.offsets[1:] - 1)
    happened = {name: values for name, values in TRAINING.columns.items() if name != schema.VISIT_DATE}
    other = changed(TRAINING, **{name: np.where(is_last, values ^ 1, values) for name, values in happened.items()})
    assert not np.array_equal(features_of(other).history, features_of(TRAINING).history)
    np.testing.assert_array_equal(features_of(other).target, features_of(TRAINING).target)


def test_a_saved_pipeline_transforms_alike(tmp_path):
    joblib.dump(PIPELINE, tmp_path / "transformer.joblib")
    loaded = joblib.load(tmp_path / "transformer.joblib")
    check_is_fitted(loaded)
    np.testing.assert_array_equal(loaded.transform(TRAINING), PIPELINE.transform(TRAINING))


def test_the_pipeline_is_a_transformer_as_scikit_learn_knows_them():
    fresh = clone(PIPELINE)
    assert fresh.get_params() == {"before": STARTS}
    table = make_pipeline(fresh, StandardScaler()).fit_transform(TRAINING)
    assert table.shape == (TRAINING.visit_days, len(PIPELINE.get_feature_names_out()))
    features = features_of(TRAINING)
    np.testing.assert_array_equal(fresh.transform(TRAINING), np.hstack([features.history, features.target]))
    assert PIPELINE.get_feature_names_out().tolist() == history_names() + target_names()


def made_night_owl():
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
    days = Days(made_night_owl())
    frame = {name: column(days) for name, column in COLUMNS.items()}
    assert frame["day_of_week"].tolist() == [4, 5, 6, 6]
    assert frame["day_of_month"].tolist() == [30, 31, 1, 8]
    assert frame["month"].tolist() == [1, 1, 2, 2]
    assert frame["is_weekend"].tolist() == [False, True, True, True]
    assert frame["days_since_last_visit"].tolist() == [0, 1, 1, 7]
    assert frame["days_since_last_visit_is_7"].tolist() == [False, False, False, True]
    assert frame["earlier_visit_days"].tolist() == [0, 1, 2, 3]


def test_last_hour_yesterday_needs_a_visit_yesterday():
    assert COLUMNS["last_hour_yesterday"](Days(made_night_owl())).tolist() == [-1, 23, 22, -1]
    values = features_of(made_night_owl())
    nights = np.stack([column(values, "target", f"one_hot__last_hour_yesterday_{hour}") for hour in range(24)], axis=1)
    assert nights.sum(axis=1).tolist() == [0, 1, 1, 0]
    assert nights[1:3].argmax(axis=1).tolist() == [23, 22]


def test_hours_and_flags_of_a_visit_day():
    values = features_of(made_night_owl())
    assert column(values, "history", "hour_flags__hourly_visits_21").tolist() == [0, 1, 0, 0]
    assert column(values, "history", "hour_flags__hourly_visits_22").tolist() == [1, 1, 0, 0]
    assert column(values, "history", "one_hot__first_visit_hour_0").tolist() == [0, 0, 1, 0]
    assert column(values, "history", "circle__first_visit_hour_sine") == pytest.approx(
        np.sin(2 * np.pi * np.array([22, 21, 0, 12]) / 24), abs=1e-6
    )


def test_scaled_features_of_the_training_days_are_centred():
    values = features_of(TRAINING)
    fitted = TRAINING.visit_date < STARTS
    amounts = column(values, "history", "log_scaled__total_page_views")[fitted]
    assert amounts.mean() == pytest.approx(0, abs=1e-4)
    assert amounts.std() == pytest.approx(1, abs=1e-4)
