"""AWS::SSM::Parameter. moto's own class cannot do without a name in the template."""

from __future__ import annotations

from localaws.cloudformation.resource import Handled, Request, ResourceType, put_again


def _put_parameter(request: Request) -> Handled:
    properties = request.pick("Type", "Value", "Description", "AllowedPattern", "Tier", "DataType")
    request.call("ssm", "put_parameter", Name=request.name, Overwrite=True, **properties)
    return Handled(request.name, {"Type": properties["Type"], "Value": properties["Value"]})


def _delete_parameter(request: Request, physical_id: str) -> None:
    request.call("ssm", "delete_parameter", Name=physical_id)


TYPES = (ResourceType("AWS::SSM::Parameter", _put_parameter, _delete_parameter, put_again(_put_parameter), "Name"),)
