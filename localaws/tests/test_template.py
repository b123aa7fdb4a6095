"""Templates: parsing, transform, validation, order of resources."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localaws.cloudformation.template import (
    TemplateError,
    deployment_order,
    expand,
    parse,
    references,
    require_known_types,
    require_valid_parameters,
)


def test_yaml_short_forms_and_dates_are_read_as_cloudformation_does() -> None:
    text = """
AWSTemplateFormatVersion: 2010-09-09
Resources:
  A:
    Type: T
    Properties: {Name: !Sub ["${x}", {x: !GetAtt B.C.D}], Version: 2012-10-17, If: !If [C, !Ref P, !Ref "AWS::NoValue"]}
"""
    properties = parse(text)["Resources"]["A"]["Properties"]
    assert properties["Name"] == {"Fn::Sub": ["${x}", {"x": {"Fn::GetAtt": ["B", "C.D"]}}]}
    assert properties["Version"] == "2012-10-17"
    assert properties["If"] == {"Fn::If": ["C", {"Ref": "P"}, {"Ref": "AWS::NoValue"}]}


@pytest.mark.parametrize("text", ["", "[]", "{}", "a: [", '{"Resources": []}'])
def test_texts_that_are_not_templates_are_refused(text: str) -> None:
    with pytest.raises(TemplateError):
        parse(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "A"}, ["A"]),
        ({"Fn::GetAtt": ["A", "Arn"]}, ["A"]),
        ({"Fn::GetAtt": "A.Arn"}, ["A"]),
        ({"Fn::Sub": "${A}-${B.Arn}-${!C}-${AWS::Region}"}, ["A", "B", "AWS::Region"]),
        ({"Fn::Sub": ["${x}-${A}", {"x": {"Ref": "B"}}]}, ["A", "B"]),
        ([{"Fn::Join": ["", ["a", {"Ref": "A"}]]}, {"deep": {"Ref": "B"}}], ["A", "B"]),
        ("${A}", []),
    ],
    ids=str,
)
def test_references(value: Any, expected: list[str]) -> None:
    assert list(references(value)) == expected


@given(st.data())
def test_every_resource_comes_after_those_it_depends_on(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    # Any acyclic graph: each resource depends on smaller numbers only, and the template has them in any order.
    dependencies = {n: data.draw(st.lists(st.integers(0, n - 1), max_size=3)) if n else [] for n in range(count)}
    resources = {
        f"R{n}": {
            "Type": "T",
            "DependsOn": [f"R{d}" for d in dependencies[n][:1]],
            "Properties": [{"Ref": f"R{d}"} for d in dependencies[n]],
        }
        for n in data.draw(st.permutations(range(count)))
    }
    order = deployment_order(resources)
    assert sorted(order) == sorted(resources)
    for n, needed in dependencies.items():
        assert all(order.index(f"R{d}") < order.index(f"R{n}") for d in needed)


def test_a_circle_is_named() -> None:
    resources = {
        "A": {"DependsOn": "B"},
        "B": {"Properties": {"x": {"Ref": "C"}}},
        "C": {"Properties": {"x": {"Ref": "B"}}},
    }
    with pytest.raises(TemplateError, match=r"\[B, C\]"):
        deployment_order(resources)


def test_a_dependency_that_does_not_exist_is_named() -> None:
    with pytest.raises(TemplateError, match="Nowhere"):
        deployment_order({"A": {"DependsOn": "Nowhere"}})


def test_unknown_types_are_named_and_custom_ones_are_known() -> None:
    resources = {"A": {"Type": "Custom::Thing"}, "B": {"Type": "AWS::S3::Bucket"}, "C": {"Type": "AWS::Quantum::Leap"}}
    with pytest.raises(TemplateError, match=r"\['AWS::Quantum::Leap'\]"):
        require_known_types({"Resources": resources}, {"AWS::S3::Bucket"})


@pytest.mark.parametrize(
    ("declaration", "value", "message"),
    [
        ({"Type": "String", "AllowedValues": ["a"]}, "b", "AllowedValues"),
        ({"Type": "String", "AllowedPattern": "^a+$"}, "ab", "must match pattern"),
        ({"Type": "Number"}, "many", "must be a number"),
        ({"Type": "Number", "MinValue": 1, "MaxValue": 3}, "4", "between 1 and 3"),
    ],
    ids=["values", "pattern", "number", "range"],
)
def test_parameters_are_checked_against_their_declarations(declaration: Any, value: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        require_valid_parameters({"P": declaration}, {"P": value})


def test_missing_and_unknown_parameters_are_named() -> None:
    with pytest.raises(TemplateError, match=r"\[P\] must have values"):
        require_valid_parameters({"P": {"Type": "String"}}, {})
    with pytest.raises(TemplateError, match=r"\[Q\] do not exist"):
        require_valid_parameters({}, {"Q": "1"})


def test_a_mistake_in_a_sam_template_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")  # the transform asks boto3 for the region
    template = {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {"F": {"Type": "AWS::Serverless::Function", "Properties": {}}},
    }
    with pytest.raises(TemplateError, match=r"\[F\]"):
        expand(template, {})


def test_another_macro_is_refused_by_name() -> None:
    with pytest.raises(TemplateError, match="AWS::LanguageExtensions"):
        expand({"Transform": ["AWS::LanguageExtensions"], "Resources": {}}, {})
