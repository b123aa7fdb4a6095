"""Resources of CloudFormation: values of templates are converted to the types of the API."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from localaws.cloudformation.resource import ApiResource, Handled, ResourceError, coerce

SHAPE = botocore.session.get_session().get_service_model("cloudwatch").operation_model("PutMetricAlarm").input_shape


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"Period": "60"}, {"Period": 60}),
        ({"Threshold": "2.5"}, {"Threshold": 2.5}),
        ({"ActionsEnabled": "true"}, {"ActionsEnabled": True}),
        ({"ActionsEnabled": "False"}, {"ActionsEnabled": False}),
        ({"AlarmName": 7}, {"AlarmName": "7"}),
        ({"AlarmName": True}, {"AlarmName": "true"}),
        ({"Dimensions": [{"Name": "n", "Value": 1}]}, {"Dimensions": [{"Name": "n", "Value": "1"}]}),
        ({"Unheard": "1"}, {"Unheard": "1"}),
    ],
    ids=str,
)
def test_values_get_the_type_of_the_api(given: Any, expected: Any) -> None:
    result = coerce(given, SHAPE)
    assert result == expected
    assert [type(value) for value in result.values()] == [type(value) for value in expected.values()]


def test_attributes_may_be_nested_or_have_dots_in_their_names() -> None:
    resource = ApiResource(Handled("id", {"A": {"B": 1}, "C.D": 2}))
    assert (resource.physical_resource_id, resource.get_cfn_attribute("A.B"), resource.get_cfn_attribute("C.D")) == (
        "id",
        1,
        2,
    )
    with pytest.raises(ResourceError, match=r"A\.X"):
        resource.get_cfn_attribute("A.X")
