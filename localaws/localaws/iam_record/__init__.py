"""A record of every API call that a role makes, in the terms of IAM: action, resource and condition keys.

IAM is not enforced here. A test can compare the record with the policies of the deployed roles.
"""

from __future__ import annotations

from localaws.iam_record.record import Call, active

__all__ = ["Call", "active"]
