"""AWS::SageMaker."""

from __future__ import annotations

from localaws.cloudformation.resource import Handled, Request, ResourceType


def _create_group(request: Request) -> Handled:
    answer = request.call(
        "sagemaker",
        "create_model_package_group",
        ModelPackageGroupName=request.name,
        **request.pick("ModelPackageGroupDescription", "Tags"),
    )
    arn = answer["ModelPackageGroupArn"]
    return Handled(arn, {"ModelPackageGroupArn": arn})


def _delete_group(request: Request, physical_id: str) -> None:
    request.call("sagemaker", "delete_model_package_group", ModelPackageGroupName=physical_id.rpartition("/")[2])


TYPES = (
    ResourceType(
        "AWS::SageMaker::ModelPackageGroup", _create_group, _delete_group, name_property="ModelPackageGroupName"
    ),
)
