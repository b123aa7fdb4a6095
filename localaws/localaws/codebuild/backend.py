"""The builds of one account and region."""

from __future__ import annotations

import json
from typing import Any, ClassVar
from urllib.parse import quote
from uuid import uuid4

from moto.codebuild.exceptions import ResourceNotFoundException
from moto.codebuild.models import CodeBuildBackend
from moto.core.responses import ActionResult
from moto.core.utils import iso_8601_datetime_with_milliseconds as now

from localaws.codebuild.build import Build
from localaws.settings import Settings

Parameters = dict[str, Any]


class LocalCodeBuild(CodeBuildBackend):
    """moto's backend with builds that run."""

    # The base class derives its URLs from the module's name.
    __module__ = "moto.codebuild.models"
    settings: ClassVar[Settings]

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._builds: dict[str, Build] = {}

    def run_build(self, parameters: Parameters) -> Parameters:
        """Start a build with the overrides of StartBuild."""
        name = parameters["projectName"]
        if name not in self.codebuild_projects:
            arn = f"arn:aws:codebuild:{self.region_name}:{self.account_id}:project/{name}"
            raise ResourceNotFoundException(f"Project cannot be found: {arn}")
        build = Build(self.settings, self.region_name, self._record(name, parameters))
        self._builds[build.record["id"]] = build
        self.build_history[name].append(build.record["id"])
        build.start()
        return build.record

    def batch_get_builds(self, ids: list[str]) -> list[Parameters]:
        """Return the descriptions of builds."""
        return [self._builds[build_id].record for build_id in ids if build_id in self._builds]

    def stop_build(self, build_id: str) -> Parameters:
        """Stop a build."""
        build = self._builds[build_id]
        build.stop()
        return build.record

    def _record(self, project_name: str, parameters: Parameters) -> Parameters:
        project = self.codebuild_projects[project_name].project_metadata
        stream = str(uuid4())
        build_id = f"{project_name}:{stream}"
        source = {
            "type": parameters.get("sourceTypeOverride", project["source"]["type"]),
            "location": parameters.get("sourceLocationOverride", project["source"].get("location", "")),
            "buildspec": parameters.get("buildspecOverride", project["source"].get("buildspec", "")),
        }
        given = {item["name"]: item for item in project["environment"].get("environmentVariables", [])}
        given |= {item["name"]: item for item in parameters.get("environmentVariablesOverride", [])}
        group = (project.get("logsConfig") or {}).get("cloudWatchLogs", {}).get("groupName")
        group = group or f"/aws/codebuild/{project_name}"
        return {
            "id": build_id,
            "arn": f"arn:aws:codebuild:{self.region_name}:{self.account_id}:build/{build_id}",
            "buildNumber": len(self.build_history[project_name]) + 1,
            "startTime": now(),
            "currentPhase": "QUEUED",
            "buildStatus": "IN_PROGRESS",
            "projectName": project_name,
            "phases": [],
            "source": source,
            "environment": {**project["environment"], "environmentVariables": list(given.values())},
            "serviceRole": project["serviceRole"],
            "logs": {
                "groupName": group,
                "streamName": stream,
                "deepLink": f"https://console.aws.amazon.com/cloudwatch/home?region={self.region_name}"
                f"#logsV2:log-groups/log-group/{quote(group, safe='')}/log-events/{stream}",
            },
            # CodeBuild's default is 60 minutes.
            "timeoutInMinutes": parameters.get("timeoutInMinutesOverride") or project["timeoutInMinutes"] or 60,
            "buildComplete": False,
        }


def start_build(response: Any) -> ActionResult:
    """Answer StartBuild. moto passes only two of its parameters on."""
    return ActionResult({"build": response.codebuild_backend.run_build(json.loads(response.body))})
