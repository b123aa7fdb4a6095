"""The functions that CloudFormation has in the Rules of a template."""

from __future__ import annotations

from typing import Any

import pytest

from localaws.cloudformation import rules
from localaws.cloudformation.template import TemplateError


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ({"Fn::Contains": [["a", "b"], {"Ref": "One"}]}, True),
        ({"Fn::Contains": [{"Ref": "Many"}, "c"]}, False),
        ({"Fn::EachMemberIn": [{"Ref": "Many"}, ["a", "b", "c"]]}, True),
        ({"Fn::EachMemberEquals": [{"Ref": "Many"}, "a"]}, False),
        ({"Fn::Or": [{"Fn::Equals": [{"Ref": "One"}, "z"]}, {"Fn::Not": [{"Fn::Equals": ["a", "b"]}]}]}, True),
        ({"Fn::And": [{"Fn::Equals": [{"Ref": "One"}, "a"]}, {"Fn::Equals": ["a", "b"]}]}, False),
    ],
)
def test_functions_of_rules(expression: dict[str, Any], holds: bool) -> None:
    section = {"Rule": {"Assertions": [{"Assert": expression, "AssertDescription": "no"}]}}
    if holds:
        rules.require(section, {"One": "a", "Many": "a,b"})
    else:
        with pytest.raises(TemplateError, match="no"):
            rules.require(section, {"One": "a", "Many": "a,b"})
