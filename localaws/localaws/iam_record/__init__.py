"""Who calls what: every API call that a role makes in the region, written down as IAM would judge it.

IAM is not enforced here. The record is what a test compares with the policies of the deployed roles.
"""

from __future__ import annotations

from localaws.iam_record.record import Call, active

__all__ = ["Call", "active"]
