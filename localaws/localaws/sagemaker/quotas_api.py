"""The API of Service Quotas, with the quotas of SageMaker in addition to those that moto has."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from moto.servicequotas.exceptions import NoSuchResource
from moto.servicequotas.responses import ServiceQuotasResponse

from localaws.sagemaker import quotas
from localaws.settings import Settings

PAGE_SIZE = 100


class LocalServiceQuotasResponse(ServiceQuotasResponse):
    """moto's API of Service Quotas with SageMaker, and with ListServiceQuotas."""

    settings: ClassVar[Settings]

    def list_service_quotas(self) -> str:
        """Answer ListServiceQuotas: the values in force."""
        request = json.loads(self.body)
        found = self._quotas(request["ServiceCode"])
        start, size = int(request.get("NextToken") or 0), int(request.get("MaxResults") or PAGE_SIZE)
        page = {"Quotas": found[start : start + size]}
        return json.dumps(page if start + size >= len(found) else {**page, "NextToken": str(start + size)})

    def get_service_quota(self) -> str:
        """Answer GetServiceQuota."""
        request = json.loads(self.body)
        for quota in self._quotas(request["ServiceCode"]):
            if quota["QuotaCode"] == request["QuotaCode"]:
                return json.dumps({"Quota": quota})
        raise NoSuchResource

    def _quotas(self, service: str) -> list[dict[str, Any]]:
        if service == "sagemaker":
            return quotas.described(self.settings.quotas, self.region, self.current_account)
        return self.backend.list_aws_default_service_quotas(service)
