"""Network of jobs and models: containers are isolated, SageMaker uses the stack's subnets if it has any."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Network:
    """Subnets for the traffic of SageMaker itself; containers have no network either way.

    Attributes
    ----------
    subnets, security_groups
        Their ids; both empty for SageMaker's own network.
    """

    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls) -> Network:
        """Read the function's environment, which the template sets."""
        return cls(_ids(os.environ["SUBNET_IDS"]), _ids(os.environ["SECURITY_GROUP_IDS"]))

    def vpc_config(self) -> dict[str, Any]:
        """Return the VpcConfig of training jobs and models; empty without subnets."""
        if not self.subnets:
            return {}
        return {"Subnets": list(self.subnets), "SecurityGroupIds": list(self.security_groups)}

    def processing_config(self) -> dict[str, Any]:
        """Return the NetworkConfig of processing jobs.

        >>> Network().processing_config()
        {'EnableNetworkIsolation': True}
        """
        vpc = self.vpc_config()
        return {"EnableNetworkIsolation": True, **({"VpcConfig": vpc} if vpc else {})}


def _ids(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()
