"""Patches of moto's CloudFormation."""

from __future__ import annotations

from localaws.cloudformation import views
from localaws.patches import Patch, replaced_by
from localaws.settings import Settings

_MODELS = "moto.cloudformation.models"
_RESPONSES = "moto.cloudformation.responses"


def patches(settings: Settings) -> list[Patch]:
    """List the patches."""
    from localaws.cloudformation.backend import LocalCloudFormation
    from localaws.cloudformation.template import parse

    LocalCloudFormation.settings = settings
    return [
        Patch(
            f"{_MODELS}:cloudformation_backends.backend",
            "Stacks have no resource events and no rollback; unknown types are skipped in silence.",
            replaced_by(LocalCloudFormation),
        ),
        Patch(
            "moto.cloudformation.parsing:ResourceMap.__getitem__",
            "Looking at a resource creates it.",
            replaced_by(views.resource_in_map),
        ),
        Patch(
            f"{_MODELS}:Stack.stack_resources",
            "Listing resources creates them.",
            replaced_by(property(views.existing_resources)),
        ),
        Patch(f"{_MODELS}:Stack.outputs", "Reading outputs too early fails.", views.outputs_when_ready),
        Patch(f"{_MODELS}:Stack.exports", "Reading exports too early fails.", views.exports_when_ready),
        Patch(
            f"{_MODELS}:Stack.parse_template",
            "YAML with nested short forms is misread, JSON is read slowly as YAML.",
            replaced_by(staticmethod(parse)),
        ),
        Patch(
            f"{_MODELS}:ChangeSet._parse_template",
            "The same.",
            replaced_by(lambda self: setattr(self, "template_dict", parse(self.template))),
        ),
        Patch(
            "moto.iam.models:Role.put_policy",
            "Policies of a role in a template are kept as objects and shown as Python writes them, not as JSON.",
            views.policy_as_json,
        ),
        Patch(
            "moto.kms.models:KmsBackend.create_key",
            "The policy of a key in a template is kept as an object, on which DescribeKey fails.",
            views.key_policy_as_json,
        ),
        Patch(
            "moto.s3.models:FakeBucket.delete_from_cloudformation_json",
            "A bucket with objects stays, and the stack says that it is gone.",
            views.refusal_of_a_full_bucket,
        ),
        Patch(
            f"{_RESPONSES}:StackResourceDTO.__init__",
            "Each resource is given the status of the stack.",
            views.resource_status,
        ),
        Patch(
            f"{_RESPONSES}:get_stack_from_s3_url",
            "A TemplateURL at 127.0.0.1 is not understood.",
            views.template_text_from_url,
        ),
    ]
