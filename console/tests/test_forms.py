"""The form of a JSON Schema gives the document that was filled in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from console_client import ROOT
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from console.forms import Field, empty_form, filled_form, read_form

SCHEMAS = {
    name: json.loads((ROOT / f"statemachine/{name}.input.schema.json").read_text()) for name in ("train", "forecast")
}


def as_sent(form: Field) -> dict[str, list[str]]:
    """What a browser sends for a form."""
    sent: dict[str, list[str]] = {}
    for one in form.all():
        if one.kind == "group":
            if one.is_null:
                sent[f"{one.name}!none"] = ["1"]
            continue
        if one.kind == "choices":
            sent[f"{one.name}!shown"] = ["1"]
        if one.kind != "choices" or one.values:
            sent[one.name] = one.values or [""]
    return sent


def errors(form: Field) -> dict[str, list[str]]:
    return {one.name: one.errors for one in form.all() if one.errors}


@pytest.mark.parametrize("workflow", SCHEMAS)
def test_an_empty_form_is_an_empty_input(workflow: str) -> None:
    schema = SCHEMAS[workflow]
    form, document = read_form(schema, as_sent(empty_form(schema)))
    assert document == {}
    assert errors(form) == {}
    assert not any(one.is_open for one in form.fields)


def keys(schema: dict[str, Any], above: str = "") -> list[str]:
    found = []
    for key, part in schema.get("properties", {}).items():
        name = f"{above}.{key}".lstrip(".")
        found += [name, *keys(part, name)]
    return found


@pytest.mark.parametrize("workflow", SCHEMAS)
def test_every_key_of_the_schema_has_a_field(workflow: str) -> None:
    assert [one.name for one in empty_form(SCHEMAS[workflow]).all() if one.name] == keys(SCHEMAS[workflow])


TRAIN = st.fixed_dictionaries(
    {},
    optional={
        "TrainingJobName": st.from_regex(r"^[a-zA-Z0-9]{1,9}$", fullmatch=True),
        "Hyperparameters": st.dictionaries(
            st.sampled_from(["units", "epochs", "dropout"]), st.integers(1, 99) | st.booleans(), min_size=1
        ),
        "CrossValidation": st.fixed_dictionaries({"Folds": st.integers(0, 7)}),
        "Approval": st.fixed_dictionaries({"Required": st.booleans()}),
        "Gate": st.fixed_dictionaries(
            {"MustHoldInCrossValidation": st.booleans()},
            optional={
                "MaxMaeHours": st.floats(0.1, 24),
                "MustBeat": st.lists(
                    st.sampled_from(["user_histogram", "tuned_histogram", "article_gru"]), unique=True
                ),
            },
        ),
    },
)
FORECAST = st.fixed_dictionaries(
    {},
    optional={
        "ForecastDate": st.dates().map(str),
        "HandOver": st.booleans(),
        "OnDrift": st.sampled_from(["alarm", "train", "stop"]),
        "Campaign": st.fixed_dictionaries(
            {"QuietHours": st.none() | st.fixed_dictionaries({"From": st.integers(0, 23), "Until": st.integers(0, 24)})}
        ),
    },
)


@given(TRAIN)
def test_a_training_input_survives_the_form(document: dict[str, Any]) -> None:
    form, read = read_form(SCHEMAS["train"], as_sent(filled_form(SCHEMAS["train"], document)))
    assert errors(form) == {}
    assert read == document


@given(FORECAST)
def test_a_forecast_input_survives_the_form(document: dict[str, Any]) -> None:
    _, read = read_form(SCHEMAS["forecast"], as_sent(filled_form(SCHEMAS["forecast"], document)))
    assert read == document


@pytest.mark.parametrize(
    ("workflow", "name", "value"),
    [
        ("train", "CrossValidation.Folds", "8"),
        ("train", "CrossValidation.Folds", "two"),
        ("train", "CrossValidation.Folds", "1.5"),
        ("train", "TrainingJobName", "no spaces here"),
        ("train", "TrainingJobName", "x" * 51),
        ("train", "Hyperparameters", "{units: 3}"),
        ("train", "Hyperparameters", '{"fold": 3}'),
        ("train", "SourceSql.Format", "xml"),
        ("train", "Tuning.IntegerRanges", '{"units": {"Min": 1}}'),
        ("train", "Gate.MaxMaeHours", "0"),
        ("forecast", "ForecastDate", "tomorrow"),
        ("forecast", "Campaign.Control.NoPushShare", "1.5"),
        ("forecast", "Campaign.Control.Salt", "x" * 65),
        ("forecast", "Campaign.LargestHourShare", "nan"),
        ("forecast", "Campaign.MinimumGapHours", "inf"),
        ("train", "Hyperparameters", '{"units": NaN}'),
    ],
)
def test_an_error_is_beside_its_field(workflow: str, name: str, value: str) -> None:
    form, document = read_form(SCHEMAS[workflow], {name: [value]})
    assert document is None
    assert list(errors(form)) == [name]
    (field,) = [one for one in form.all() if one.name == name]
    assert field.values == [value]


def test_what_the_form_accepts_the_schema_accepts() -> None:
    _, document = read_form(SCHEMAS["train"], {"Gate.MustBeat!shown": ["1"], "Training.InstanceType": ["ml.c5.xlarge"]})
    assert document == {"Gate": {"MustBeat": []}, "Training": {"InstanceType": "ml.c5.xlarge"}}
    Draft202012Validator(SCHEMAS["train"]).validate(document)


def test_a_group_that_is_set_to_none_ignores_its_fields() -> None:
    _, document = read_form(
        SCHEMAS["forecast"], {"Campaign.QuietHours!none": ["1"], "Campaign.QuietHours.From": ["23"]}
    )
    assert document == {"Campaign": {"QuietHours": None}}
