"""Patches of moto's ECR."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

from localaws.patches import Patch
from localaws.settings import Settings

PUBLIC = "SpencerFrontendService."
"""Target of the requests for ECR Public, which reach moto's ECR; see `localaws.patches.requests`."""
TOKEN_SECONDS = 12 * 3600
"""https://docs.aws.amazon.com/AmazonECRPublic/latest/APIReference/API_GetAuthorizationToken.html"""


def patches(settings: Settings) -> list[Patch]:
    """Return the patches."""
    del settings
    return [
        Patch(
            "moto.ecr.responses:ECRResponse.get_authorization_token",
            "ECR Public is missing.",
            with_the_public_registry,
        )
    ]


def with_the_public_registry(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Answer GetAuthorizationToken of ECR Public too, which has one token instead of a list."""

    def get_authorization_token(self: Any) -> Any:
        if not self.headers.get("X-Amz-Target", "").startswith(PUBLIC):
            return original(self)
        token = base64.b64encode(b"AWS:any").decode()
        return json.dumps(
            {"authorizationData": {"authorizationToken": token, "expiresAt": time.time() + TOKEN_SECONDS}}
        )

    return get_authorization_token
